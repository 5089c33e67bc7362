"""Builds small .tflite files, operator by operator, without TensorFlow: for examples and tests."""
