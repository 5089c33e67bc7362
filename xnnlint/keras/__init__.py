"""Keras models as data: read, lowered to the operators that the converter would emit, never executed."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    # Users of Keras look for it here; it is of the room `training`, which builds on all that is above this one.
    if name == "LintCallback":
        return importlib.import_module("xnnlint.training.callback").LintCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
