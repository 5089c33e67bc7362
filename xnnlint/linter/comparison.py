"""Two reports side by side: what became better and what became worse from one to the other.

The two are exports of one network (before and after pruning, fixing, converting), or one file under two runtimes. Their
operators are matched in three rounds, each in the order of the file: by name and output shape, by name, and, for files
of different exporters, by type and the shapes of output and weights. Every round is one pass over the operators.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.linter.baseline import entry
from xnnlint.linter.findings import Finding, ModelReport, Severity
from xnnlint.model.converter_storage import WEIGHTED
from xnnlint.model.weights import measure
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.cost import Gain
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan

TOLERANCE = 0.03
"""Times that differ by less than this share are alike; a fix is held to the same."""

# From worst to best: a model that fails gives nothing, one with wrong results misleads.
_OUTCOMES = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)


class Aspect(str, Enum):
    """In what one model can be worse than another."""

    OUTCOME = "outcome"
    SPMM = "spmm"
    TIME = "time"
    SIZE = "size"
    FINDINGS = "findings"


class Change(str, Enum):
    """What an aspect did from the first model to the second; UNKNOWN where one of them has no figure."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNKNOWN = "unknown"


class Side(Struct, frozen=True):
    """One operator of one of the two models.

    Attributes:
        op: its index in the main subgraph.
        kernels: what runs, in order, as LiteRT's profiler prints it; () of an operator that TFLite runs itself.
        microseconds: predicted; None where nothing is predicted.
        zeros: share of zeros of its weights, 0 to 1; None without constant weights.
    """

    op: int
    name: str
    type: str
    shape: tuple[int, ...]
    weights: tuple[int, ...]
    kernels: tuple[str, ...]
    microseconds: float | None
    zeros: float | None

    @property
    def runs_spmm(self) -> bool:
        return any(kernel.endswith("SPMM") for kernel in self.kernels)


class OperatorPair(Struct, frozen=True):
    """An operator in both models; None where only the other has it."""

    before: Side | None
    after: Side | None

    @property
    def name(self) -> str:
        side = self.after or self.before
        assert side is not None
        return side.name

    @property
    def is_new_kernel(self) -> bool:
        """Whether both have it, and it runs otherwise."""
        return self.before is not None and self.after is not None and self.before.kernels != self.after.kernels


class Comparison(Struct, frozen=True):
    """What `compare` found.

    Attributes:
        operators: pairs in the order of the second model, then what only the first has.
        gained, lost: findings that only the second, only the first has.
        gain: predicted times; its ratio is above 1 where the second is faster. None where nothing is predicted, or the
            two are for different CPUs.
        sizes: of both files in bytes; None of what is no file.
    """

    before: ModelReport
    after: ModelReport
    operators: tuple[OperatorPair, ...]
    gained: tuple[Finding, ...]
    lost: tuple[Finding, ...]
    gain: Gain | None
    sizes: tuple[int | None, int | None]

    @property
    def changes(self) -> dict[Aspect, Change]:
        """Every aspect, and what it did."""
        before, after = _plan(self.before), _plan(self.after)
        spmm = [None if plan.summary is None else plan.summary.spmm for plan in (before, after)]
        return {
            Aspect.OUTCOME: change_of(_OUTCOMES.index(before.outcome), _OUTCOMES.index(after.outcome)),
            Aspect.SPMM: change_of(spmm[0], spmm[1]),
            Aspect.TIME: Change.UNKNOWN if self.gain is None else change_of(1.0, self.gain.ratio, TOLERANCE),
            Aspect.SIZE: change_of(_less(self.sizes[0]), _less(self.sizes[1]), TOLERANCE),
            Aspect.FINDINGS: change_of(_less(errors(self.lost)), _less(errors(self.gained))),
        }

    def worse(self, aspects: Iterable[Aspect]) -> list[Aspect]:
        """Those of the aspects in which the second model is worse."""
        changes = self.changes
        return [aspect for aspect in aspects if changes[aspect] is Change.WORSE]


def compare(before: ModelReport, after: ModelReport) -> Comparison:
    """Compare two checked models.

    Args:
        before, after: reports with a plan, of `engine.check_model`.
    """
    first, second = _plan(before), _plan(after)
    gain = None
    # Times on two CPUs do not say anything about the models.
    if first.profile.cpu == second.profile.cpu and before.speed is not None and after.speed is not None:
        from xnnlint.cost.predictor import compared

        gain = compared(first, second, after.speed.prediction.profile)
    return Comparison(
        before,
        after,
        tuple(matched(_sides(before), _sides(after))),
        tuple(_missing(after.findings, before.findings)),
        tuple(_missing(before.findings, after.findings)),
        gain,
        (_size(before.path), _size(after.path)),
    )


def _plan(report: ModelReport) -> Plan:
    assert report.plan is not None, "what could not be read cannot be compared"
    return report.plan


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None


def change_of(before: float | None, after: float | None, tolerance: float = 0.0) -> Change:
    """Of figures of which the higher is the better."""
    if before is None or after is None:
        return Change.UNKNOWN
    if abs(after - before) <= tolerance * abs(before):
        return Change.SAME
    return Change.BETTER if after > before else Change.WORSE


def _less(figure: float | None) -> float | None:
    """Of what is better the less there is."""
    return None if figure is None else -figure


def errors(findings: Sequence[Finding]) -> int:
    """How many are errors."""
    return sum(finding.severity is Severity.ERROR for finding in findings)


def _missing(findings: Sequence[Finding], among: Sequence[Finding]) -> Iterator[Finding]:
    """Those of the findings that are not among others, known again as a baseline knows them."""
    there = defaultdict[Hashable, int](int)
    for finding in among:
        there[entry(finding).stem] += 1
    for finding in findings:
        stem = entry(finding).stem
        if there[stem]:
            there[stem] -= 1
        else:
            yield finding


def _sides(report: ModelReport) -> list[Side]:
    """The operators of a model that run, in the order of the file."""
    plan = _plan(report)
    prediction = report.speed.prediction if report.speed is not None else None
    times = defaultdict[int, float](float)
    for cost in prediction.operators if prediction is not None else ():
        times[cost.op] += cost.microseconds
    kernels = defaultdict[int, list[str]](list)
    for kernel in plan.operators:
        kernels[kernel.op].append(kernel.kernel)
    return [
        _side(plan, op, tuple(kernels[op]), None if prediction is None else times[op])
        for op in sorted(kernels.keys() | set(plan.tflite_ops))
    ]


def _side(plan: Plan, index: int, kernels: tuple[str, ...], microseconds: float | None) -> Side:
    op = plan.graph.operators[index]
    weights = _weights(plan, op)
    measured = None if weights is None else measure(plan.graph, weights)
    return Side(
        index,
        op.name,
        op.custom_code or op.type,
        tuple(plan.graph.tensors[op.outputs[0]].shape or ()) if op.outputs else (),
        () if weights is None else tuple(plan.graph.tensors[weights].shape or ()),
        kernels,
        microseconds,
        None if measured is None else measured.zero_share,
    )


def _weights(plan: Plan, op: Operator) -> int | None:
    """The tensor of an operator's weights; None without constant ones."""
    has_weights = op.type in WEIGHTED and len(op.inputs) > 1 and op.inputs[1] >= 0
    return op.inputs[1] if has_weights else None


_ROUNDS: tuple[Callable[[Side], Hashable], ...] = (
    lambda side: (side.name, side.type, side.shape),
    lambda side: (side.name, side.type),
    lambda side: (side.type, side.shape, side.weights),
)


def matched(before: Sequence[Side], after: Sequence[Side]) -> Iterator[OperatorPair]:
    """The operators of two models, each with its partner; each operator has its own `op`."""
    partner: dict[int, Side] = {}
    left = list(before)
    for key in _ROUNDS:
        waiting = defaultdict[Hashable, deque[Side]](deque)
        for side in left:
            waiting[key(side)].append(side)
        for side in after:
            if side.op not in partner and waiting[key(side)]:
                partner[side.op] = waiting[key(side)].popleft()
        taken = {side.op for side in partner.values()}
        left = [side for side in left if side.op not in taken]
    yield from (OperatorPair(partner.get(side.op), side) for side in after)
    yield from (OperatorPair(side, None) for side in left)
