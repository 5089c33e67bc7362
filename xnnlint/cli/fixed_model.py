"""What a run of `xnnlint fix` knows of one model once it is fixed, whatever kind of file it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from xnnlint.reporters.styled_lines import Line


class FixedModel(Struct, frozen=True):
    """One model.

    Attributes:
        changed: whether anything was.
        exit_code: 1 where findings remain.
        lines: its report for a person, wrapped to so many columns.
        data: its report for programs.
    """

    changed: bool
    exit_code: int
    lines: Callable[[int], Iterable[Line]]
    data: Callable[[], dict[str, Any]]
