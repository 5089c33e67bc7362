"""A comparison in words, for text and Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from xnnlint.linter.comparison import Aspect, Change, errors
from xnnlint.reporters.durations import duration
from xnnlint.reporters.finding_words import percent
from xnnlint.reporters.value_words import bytes_text, not_measured

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Comparison, OperatorPair, Side
    from xnnlint.linter.findings import Finding, ModelReport

TITLES = {
    Aspect.OUTCOME: "outcome",
    Aspect.SPMM: "SpMM",
    Aspect.TIME: "time",
    Aspect.SIZE: "size",
    Aspect.FINDINGS: "errors",
}
NOTHING = "-"


class FactRow(NamedTuple):
    """One fact of both models.

    Attributes:
        change: what became of it; UNKNOWN of facts that are neither good nor bad.
    """

    title: str
    before: str
    after: str
    note: str
    change: Change


def fact_rows(compared: Comparison) -> Iterator[FactRow]:
    """What holds of each of the two models, the most important first."""
    changes = compared.changes
    both = compared.before, compared.after
    if compared.before.profile != compared.after.profile:
        yield FactRow("runtime", _target(compared.before), _target(compared.after), "", Change.UNKNOWN)
    yield _row(Aspect.OUTCOME, [_outcome(model) for model in both], "", changes)
    yield _row(Aspect.SPMM, [_spmm(model) for model in both], "1x1 convolutions", changes)
    if (gain := compared.gain) is not None:
        note = f"{gain.ratio:.2f} times as fast"
        yield _row(Aspect.TIME, [duration(gain.dense.total), duration(gain.sparse.total)], note, changes)
    if None not in compared.sizes:
        yield _row(Aspect.SIZE, [bytes_text(size or 0) for size in compared.sizes], "the file", changes)
    before, after = both
    yield FactRow("zeros", _zeros(before), _zeros(after), "of the 1x1 weights", Change.UNKNOWN)
    yield FactRow("operators", _operators(before), _operators(after), "", Change.UNKNOWN)
    yield _row(Aspect.FINDINGS, [str(errors(model.findings)) for model in both], "", changes)


def _row(aspect: Aspect, cells: list[str], note: str, changes: dict[Aspect, Change]) -> FactRow:
    return FactRow(TITLES[aspect], cells[0], cells[1], note, changes[aspect])


def _target(model: ModelReport) -> str:
    profile = model.profile
    return NOTHING if profile is None else f"{profile.runtime} on {profile.cpu}"


def _outcome(model: ModelReport) -> str:
    return NOTHING if model.plan is None else model.plan.outcome.value


def _spmm(model: ModelReport) -> str:
    summary = model.plan.summary if model.plan is not None else None
    return NOTHING if summary is None else f"{summary.spmm} of {summary.pointwise_convs}"


def _zeros(model: ModelReport) -> str:
    summary = model.plan.summary if model.plan is not None else None
    if summary is None or not summary.pointwise_params:
        return NOTHING
    return percent(summary.pointwise_zeros, summary.pointwise_params)


def _operators(model: ModelReport) -> str:
    plan = model.plan
    if plan is None:
        return NOTHING
    partitions = len({kernel.partition for kernel in plan.operators})
    left = f", {len(plan.tflite_ops)} left to TFLite" if plan.tflite_ops else ""
    return f"{len(plan.operators)} in {partitions} partition{'' if partitions == 1 else 's'}{left}"


def time_note(compared: Comparison) -> str:
    """What the times are; "" where there are none."""
    if compared.gain is None:
        return ""
    aside = not_measured(compared.gain.sparse)
    return f"Times are predicted{f', {aside}' if aside else ''}; `xnnlint bench BEFORE AFTER` measures them here."


# --- operators -------------------------------------------------------------------------------------------------------


class OperatorRow(NamedTuple):
    """An operator that runs otherwise, or that only one of the models has."""

    name: str
    before: str
    after: str
    zeros: str
    microseconds: str
    change: Change


def operator_rows(compared: Comparison) -> Iterator[OperatorRow]:
    """The operators that differ: in kernel, in zeros, or that are in one model only."""
    for pair in compared.operators:
        if pair.before is None or pair.after is None or pair.is_new_kernel or zeros_differ(pair):
            yield _operator_row(pair)


def zeros_differ(pair: OperatorPair) -> bool:
    """Whether another share of its weights is zero."""
    shares = [side.zeros for side in (pair.before, pair.after) if side is not None and side.zeros is not None]
    return len(shares) == 2 and shares[0] != shares[1]


def _operator_row(pair: OperatorPair) -> OperatorRow:
    before, after = pair.before, pair.after
    change = Change.UNKNOWN
    if before is not None and after is not None and before.runs_spmm != after.runs_spmm:
        change = Change.BETTER if after.runs_spmm else Change.WORSE
    return OperatorRow(
        pair.name,
        _kernels(before),
        _kernels(after),
        _both(_share(before), _share(after)),
        _both(_time(before), _time(after)),
        change,
    )


def _kernels(side: Side | None) -> str:
    """What runs, without types and layouts: "SPMM", "Conv2D HWC2CHW"."""
    if side is None:
        return NOTHING
    if not side.kernels:
        return f"{side.type} (TFLite)"
    # The operator's own kernel comes last, behind what moves its input.
    kind, _, rest = side.kernels[-1].partition(" (")
    return rest.partition(") ")[2] or kind


def _share(side: Side | None) -> str:
    return "" if side is None or side.zeros is None else f"{side.zeros:.0%}"


def _time(side: Side | None) -> str:
    return "" if side is None or side.microseconds is None else f"{side.microseconds:.1f}"


def _both(before: str, after: str) -> str:
    """ "81% -> 80%"; one of them where they are alike or the other is missing."""
    return f"{before} -> {after}" if before and after and before != after else after or before


# --- the verdict -----------------------------------------------------------------------------------------------------


def verdict(compared: Comparison, worse: list[Aspect]) -> str:
    """What to make of it, in a sentence.

    Args:
        worse: the aspects that count, in which the second model is worse.
    """
    if worse:
        return f"The second is worse: {', '.join(TITLES[aspect] for aspect in worse)}."
    better = [TITLES[aspect] for aspect, change in compared.changes.items() if change is Change.BETTER]
    if better:
        return f"The second is better: {', '.join(better)}."
    return "Neither is better."


def finding_sentence(finding: Finding) -> str:
    """A finding in a line."""
    place = finding.location.name or finding.location.tensor
    return f"{finding.rule} {finding.name}{f' at {place}' if place else ''}"
