"""The families of rules, by the start of their codes."""

GRAPH = "XNN"
"""Asked of every plan."""

POLICY = "XNP"
"""Asked of Keras models with `--policy`: TFMOT's pruning policy."""

BUDGETS = "XNB"
"""Limits that the configuration sets."""
