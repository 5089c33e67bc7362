"""Changes .tflite files themselves: an editor, fixes, and the proof that a fixed file is right."""
