"""Fixes: changes of a model after which it runs sparse and right.

What is the same for every format stands here: what a change is (`change`), what a kind of change declares (`fixer`),
the search for those that are needed (`change_search`), what comes of it (`result`), and what a check asks of all that
(`remedies`). `tflite/` edits operators of a file, `keras/` layers of a config.
"""
