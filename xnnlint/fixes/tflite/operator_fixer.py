"""A kind of change of a .tflite file, and how one is made."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, auto
from functools import cache
from typing import TYPE_CHECKING

from xnnlint.fixes.change import Change
from xnnlint.fixes.fixer import Fixer, discovered

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import Op
    from xnnlint.fixes.tflite.graph_view import View
    from xnnlint.fixes.tflite.operator_lines import OperatorLines

_PACKAGE = "xnnlint.fixes.tflite.operator_changes"


class Stage(IntEnum):
    """When a change is made: what makes operators new comes before what looks at them."""

    SHAPES = auto()
    NOTATION = auto()
    CONSTANTS = auto()
    POOLINGS = auto()
    CHANNELS = auto()
    CONVOLUTIONS = auto()
    POINTWISE = auto()
    DEPTHWISE = auto()
    ENTRY = auto()
    UNSAFE = auto()
    PRUNING = auto()
    # Last, since they look at the plan, which must be of the graph as it is then.
    ENCODING = auto()
    EXIT = auto()


class OperatorFixer(Fixer):
    """One kind of change.

    Attributes:
        name: `--select` takes it.
        summary: one line for the documentation.
        whole: whether it is made everywhere or nowhere, so that single places are not tried without it.
        any_size: whether it is right without knowing the sizes of what the operator reads and writes.
    """

    summary: str
    whole: bool = False
    any_size: bool = False

    def sites(self, view: View) -> Iterable[Op]:
        """The operators at which it could be made; looks only."""
        raise NotImplementedError

    def apply(self, view: View, op: Op) -> str:
        """Makes it at one of them, and says what is done, in one sentence without a full stop.

        Raises:
            CannotChange: it does not fit; then nothing was changed.
        """
        raise NotImplementedError


@cache
def operator_fixers() -> tuple[OperatorFixer, ...]:
    """Every one, in the order in which they are applied."""
    return tuple(discovered(_PACKAGE, "FIXERS"))


def make(fixer: OperatorFixer, view: View, op: Op, lines: OperatorLines | None = None) -> Change:
    """Makes a change at a place.

    Args:
        lines: those of the graph, where the change shall say which of them go and come.

    Raises:
        CannotChange: see `OperatorFixer.apply`.
    """
    place = view.place(op)
    text = fixer.apply(view, op)
    removed, added = lines.update() if lines is not None else ((), ())
    return Change(
        fix=fixer.name,
        fulfils=fixer.fulfils,
        applicability=fixer.applicability,
        exactness=fixer.exactness,
        site=op.uid,
        place=place,
        text=text,
        before=removed,
        after=added,
        effect=fixer.effect,
        op=op.index,
    )
