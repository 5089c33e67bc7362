"""From Keras layers to the operators that TensorFlow's converter makes of them."""
