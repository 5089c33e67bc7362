"""Kinds of changes of Keras layers, a family a file; `fixes.fixer` says how to add one."""
