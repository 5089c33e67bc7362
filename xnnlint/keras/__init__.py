"""Keras models as data: read, lowered to the operators that the converter would emit, never executed."""
