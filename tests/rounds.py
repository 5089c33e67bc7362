"""How much of a long test each run of the tests does; `.ci/run` asks for the rest with `-m more`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(rounds: Iterable[Any], first: int) -> list[Any]:
    """Rounds for `parametrize`, the first ones for every run."""
    return [_round(value, number < first) for number, value in enumerate(rounds)]


def every(nth: int, rounds: Iterable[Any]) -> list[Any]:
    """The same with every nth for every run."""
    return [_round(value, number % nth == 0) for number, value in enumerate(rounds)]


def _round(value: Any, always: bool) -> Any:
    return value if always else pytest.param(value, marks=pytest.mark.more)
