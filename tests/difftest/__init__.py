"""Differential testing: make .tflite models, predict and observe them, and shrink what disagrees."""
