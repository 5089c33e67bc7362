"""Ways to make a file right that gives wrong results or fails, a kind a file; `tflite.rescue` says how to add one."""
