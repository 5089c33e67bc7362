"""The rules: one condition of sparse inference a module."""
