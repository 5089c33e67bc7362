"""What the delegate takes, and into which partitions."""
