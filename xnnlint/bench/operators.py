"""The operators that ran, with their times, beside those that the plan has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.runtime.verify import Row, align

from .families import Family, family_of

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan


class Ran(Struct, frozen=True):
    """What a run showed, each operator with its time in microseconds.

    Attributes:
        kernels, kernel_indices: XNNPACK's operators, and its own number of each, from 0 in each partition.
        kernel_times: of each.
        tflite_ops, tflite_times: the operators that TFLite ran itself.
    """

    kernels: tuple[str, ...]
    kernel_indices: tuple[int, ...]
    kernel_times: tuple[float, ...]
    tflite_ops: tuple[str, ...] = ()
    tflite_times: tuple[float, ...] = ()


class TimedOperator(Struct, frozen=True):
    """One operator, in the order of a run.

    Attributes:
        layer: the name of the TFLite operator that it comes from, in the user's words; "" where the plan has none.
        op: its index; None where the plan has none.
        kernel: as it ran; as predicted, where it did not run.
        predicted: as predicted; None where it was not.
        microseconds: None where it did not run.
        predicted_microseconds: by the cost model, where somebody asked for it.
    """

    layer: str
    op: int | None
    kernel: str
    family: Family
    predicted: str | None
    microseconds: float | None
    predicted_microseconds: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether it ran, and as predicted."""
        return self.microseconds is not None and self.kernel == self.predicted


class Cell(Struct, frozen=True):
    """What one variant runs for a layer."""

    kernels: tuple[str, ...]
    microseconds: float


class LayerTimes(Struct, frozen=True):
    """A layer in two variants; None where one has no such layer."""

    layer: str
    before: Cell | None
    after: Cell | None

    @property
    def change(self) -> float:
        """Microseconds that `after` takes more."""
        before, after = (0.0 if cell is None else cell.microseconds for cell in (self.before, self.after))
        return after - before


def timed_operators(plan: Plan, ran: Ran) -> tuple[TimedOperator, ...]:
    """The operators of a run beside the plan's, aligned."""
    xnnpack, tflite = iter(ran.kernel_times), iter(ran.tflite_times)
    found = []
    for row in align(plan, ran):
        times = tflite if row.tflite else xnnpack
        found.append(_timed(plan, row, None if row.observed is None else next(times)))
    return tuple(found)


def _timed(plan: Plan, row: Row, microseconds: float | None) -> TimedOperator:
    kernel = row.observed or row.predicted or ""
    family = Family.TFLITE if row.tflite else family_of(kernel, plan.graph, row.op)
    return TimedOperator(row.name, row.op, kernel, family, row.predicted, microseconds)


def by_family(operators: Iterable[TimedOperator]) -> dict[Family, float]:
    """Microseconds of each family that ran."""
    sums: dict[Family, float] = {}
    for operator in operators:
        if operator.microseconds is not None:
            sums[operator.family] = sums.get(operator.family, 0.0) + operator.microseconds
    return sums


def by_layer(before: Sequence[TimedOperator], after: Sequence[TimedOperator]) -> list[LayerTimes]:
    """Both variants layer by layer: in the order of `after`, with what only `before` has where it ran."""
    one, other = _cells(before), _cells(after)
    return [LayerTimes(layer, one.get(layer), other.get(layer)) for layer in _merged(list(one), list(other))]


def _cells(operators: Sequence[TimedOperator]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for operator in operators:
        if operator.microseconds is not None:
            known = cells.get(operator.layer, Cell((), 0.0))
            kernels = (*known.kernels, operator.kernel)
            cells[operator.layer] = Cell(kernels, known.microseconds + operator.microseconds)
    return cells


def _merged(one: list[str], other: list[str]) -> list[str]:
    """All names once; those of both in the order of `other`."""
    both = set(one) & set(other)
    merged: list[str] = []
    for _, i, i_end, j, j_end in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        merged += [name for name in one[i:i_end] if name not in both]
        merged += other[j:j_end]
    return merged
