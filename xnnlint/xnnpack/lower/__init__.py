"""From the delegate's partitions to XNNPACK's nodes."""
