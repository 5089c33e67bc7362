"""What a test needs that may be absent: without it the test is skipped, or fails where the environment demands it."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

REQUIRE_BROWSER = "XNNLINT_REQUIRE_BROWSER"
REQUIRE_JUDGE = "XNNLINT_REQUIRE_JUDGE"
REQUIRE_KERAS = "XNNLINT_REQUIRE_KERAS"
REQUIRE_TENSORFLOW = "XNNLINT_REQUIRE_TENSORFLOW"


def missing(reason: str, variable: str) -> None:
    """Skip the test, or fail it where the environment says that this must be there."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"{reason} (and {variable}=1)", pytrace=False)
    pytest.skip(reason)


def published(module: str) -> ModuleType:
    """A module of a published package that tests compare with, such as LiteRT's Python interface."""
    if os.environ.get(REQUIRE_JUDGE) == "1":
        return importlib.import_module(module)
    return pytest.importorskip(module)
