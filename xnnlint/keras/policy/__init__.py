"""What TFMOT's pruning policy says of a Keras model."""
