"""The family XNP: what TFMOT's pruning policy `PruneForLatencyOnXNNPack` demands, asked with `check --policy`."""
