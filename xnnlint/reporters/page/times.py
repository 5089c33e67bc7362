"""How long each operator takes, in one row of figures for each variant: predicted, and measured where that was done."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xnnlint.bench.saved import SavedBench
    from xnnlint.cost import Prediction
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.page.graph_facts import GraphFacts


class TimeSeries(Struct, frozen=True):
    """Microseconds of one variant.

    Attributes:
        is_measured: else they are predicted.
        of: by operator.
        total: of a run as a whole; None where it is not known.
        guessed: operators of which the time is a guess.
    """

    title: str
    is_measured: bool
    of: dict[int, float]
    total: float | None
    guessed: frozenset[int] = frozenset()


def time_series(report: ModelReport, facts: GraphFacts, benches: Iterable[SavedBench] = ()) -> list[TimeSeries]:
    """Every series that is known of a model, those that are to be compared side by side."""
    return [*_predicted(report), *(series for bench in benches for series in _measured(bench, facts))]


def _predicted(report: ModelReport) -> Iterator[TimeSeries]:
    speed = report.speed
    if speed is None:
        return
    if speed.now is not None:
        yield _series("dense, predicted", speed.now.dense)
        yield _series("sparse, predicted", speed.now.sparse)
        return
    yield _series("as it is, predicted", speed.prediction)
    if speed.if_fixed is not None:
        yield _series("if fixed, predicted", speed.if_fixed.sparse)


def _series(title: str, prediction: Prediction) -> TimeSeries:
    times = defaultdict[int, float](float)
    for cost in prediction.operators:
        times[cost.op] += cost.microseconds
    guessed = frozenset(cost.op for cost in prediction.operators if cost.is_guess)
    return TimeSeries(title, False, dict(times), prediction.total, guessed)


def _measured(bench: SavedBench, facts: GraphFacts) -> Iterator[TimeSeries]:
    """Variants of a file count their operators otherwise: layers go by name, and the first of a name has its time."""
    first: dict[str, int] = {}
    for op in facts.operators:
        if op.kernels or op.runs.value == "tflite":
            first.setdefault(op.name, op.op)
    for variant in bench.variants:
        times = {first[layer]: time for layer, time in variant.layers.items() if layer in first}
        yield TimeSeries(f"{variant.label}, measured", True, times, variant.microseconds)
