"""The reader of .tflite files."""
