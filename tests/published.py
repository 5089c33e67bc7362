"""Published packages that tests compare with: skipped where they are not installed, unless they must be."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def published(module: str) -> ModuleType:
    """A module of a package that is not part of the base install, such as LiteRT's Python interface."""
    if os.environ.get("XNNLINT_REQUIRE_JUDGE") == "1":
        return importlib.import_module(module)
    return pytest.importorskip(module)
