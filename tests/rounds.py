"""How much of a long test each run of the tests does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(rounds: Iterable[Any], first: int) -> list[Any]:
    """Rounds for `parametrize`: the first ones in every run of the tests, the others where `-m more` asks for them."""
    return [
        value if number < first else pytest.param(value, marks=pytest.mark.more) for number, value in enumerate(rounds)
    ]
