"""What TensorFlow Lite's converter makes of the operators of a Keras model; `rewrite` has all of it in order."""
