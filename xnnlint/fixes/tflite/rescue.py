"""Ways to make a file right that gives wrong results or fails.

A new kind is one file in `rescues/` that has it in a tuple `RESCUES`, and a test in
`tests/fixes/test_fix_tflite_rescue.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum, auto
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.fixes.change import Change
from xnnlint.fixes.fixer import Fixer, discovered
from xnnlint.fixes.tflite.operator_lines import OperatorLines
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import Op
    from xnnlint.fixes.tflite.graph_view import View

STORE_DENSE = "store-dense"
"""The rescue that gives up the sparse path."""
_PACKAGE = "xnnlint.fixes.tflite.rescues"


class Preference(IntEnum):
    """The ways that keep a model sparse come first."""

    # Around what some runtimes fail over, sparse or not.
    FAILURES = auto()
    # A legal exit of the cluster where its data leave it, so that both sides are right and it stays sparse.
    EXIT = auto()
    # A cluster without its entry, which is dense and right; others stay as they are.
    DENSE_CLUSTER = auto()
    # Weights stored dense: those of one operator, then all.
    DENSE_WEIGHTS = auto()


class Way(Struct, frozen=True):
    """One way to rescue a model.

    Attributes:
        uid, place: the operator that it is about.
        apply: makes it and says what is done, as `OperatorFixer.apply`.
    """

    rescue: Rescue
    uid: str
    place: str
    apply: Callable[[View], str]


class Rescue(Fixer):
    """One kind of way; `stage` is its preference.

    Attributes:
        name: `--select` takes it.
        summary: one line for the documentation.
        any_size: whether it is right without knowing the sizes of what the model reads.
    """

    fulfils: frozenset[Condition] = frozenset({Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS})
    summary: str
    any_size: bool = False

    def ways(self, view: View) -> Iterator[Way]:
        """What could be done, the best first; looks only."""
        raise NotImplementedError

    def way(self, view: View, op: Op, apply: Callable[[View], str]) -> Way:
        """One that is about an operator."""
        return Way(self, op.uid, view.place(op), apply)


@cache
def rescues() -> tuple[Rescue, ...]:
    """Every kind, in order of preference."""
    return tuple(discovered(_PACKAGE, "RESCUES"))


def ways(view: View) -> Iterator[Way]:
    """What could make a model right, in order of preference."""
    for rescue in rescues():
        yield from rescue.ways(view)


def follow(way: Way, view: View) -> Change:
    """Does it.

    Raises:
        CannotChange: it does not fit after all.
    """
    lines = OperatorLines(view.graph)
    text = way.apply(view)
    removed, added = lines.update()
    rescue = way.rescue
    return Change(
        fix=rescue.name,
        fulfils=rescue.fulfils,
        applicability=rescue.applicability,
        exactness=rescue.exactness,
        site=way.uid,
        place=way.place,
        text=text,
        before=removed,
        after=added,
        effect=rescue.effect,
    )
