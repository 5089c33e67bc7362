"""Readers of Keras files, as data: nothing of a model is executed."""
