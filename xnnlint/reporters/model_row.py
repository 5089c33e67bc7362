"""What many models are told by: a row of a few flat values of each, made of its record alone.

The table, the summary over all models and `--report parquet` are made of rows. A row is small, so that processes hand
it over at once, and it needs no plan: a line that another machine wrote, or an earlier run, gives the same row.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict, replace

from xnnlint.linter.findings import RuntimeOutcome, Severity
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.reporters.model_record import Record

UNREADABLE, UNKNOWN = "unreadable", "unknown"
_RIGHT = (Outcome.SPARSE.value, Outcome.DENSE.value)


class GainFigures(NamedTuple):
    """How many times as fast as dense, predicted, with the interval of that."""

    ratio: float
    low: float
    high: float
    measured_on_cpu: bool


class RuleCount(NamedTuple):
    """A rule, and how many findings of it a model has."""

    code: str
    name: str
    findings: int


class ModelRow(Struct, frozen=True):
    """One model of many.

    Attributes:
        path, runtime, cpu, bytes, sha256, exit_code, failures, next, error: as in the record.
        outcome: None where it is unknown, or the file could not be read.
        spmm, pointwise_convs: 1x1 convolutions that run SpMM, and all of them; None without a plan.
        gain: what the sparse path brings; None of a model that does not run sparse and right.
        gain_if_fixed: the most that its smallest set of changes brings.
        blockers: codes of the rules of that set, what unlocks most first.
        rules: the rules with findings.
        severities: findings by severity.
        safe_fixes, unsafe_fixes: findings that `xnnlint fix` solves.
        by_runtime: what each runtime makes of it, newest first, where it was checked for several.
        ignored, accepted: findings left out by the configuration, and by the baseline.
    """

    path: str
    runtime: str
    cpu: str
    outcome: Outcome | None
    spmm: int | None
    pointwise_convs: int | None
    gain: GainFigures | None
    gain_if_fixed: GainFigures | None
    blockers: tuple[str, ...]
    rules: tuple[RuleCount, ...]
    severities: dict[Severity, int]
    safe_fixes: int
    unsafe_fixes: int
    ignored: int
    accepted: int
    next: str
    bytes: int | None
    sha256: str | None
    exit_code: int
    failures: tuple[str, ...]
    error: str | None
    by_runtime: tuple[RuntimeOutcome, ...] = ()

    @property
    def word(self) -> str:
        """The outcome, or why there is none."""
        if self.error is not None:
            return UNREADABLE
        return self.outcome.value if self.outcome is not None else UNKNOWN

    @property
    def right(self) -> bool | None:
        """Whether the outputs are correct; None where nobody knows."""
        return None if self.outcome is None else self.outcome.value in _RIGHT

    @property
    def worst(self) -> Severity | None:
        """The gravest severity that it has findings of."""
        return min(self.severities, key=lambda severity: severity.rank, default=None)

    def each_runtime(self) -> tuple[ModelRow, ...]:
        """A row for each runtime that it was checked for, with what that makes of the model; else itself."""
        return tuple(
            replace(
                self,
                runtime=one.runtime,
                outcome=one.outcome,
                spmm=one.spmm,
                pointwise_convs=one.pointwise_convs,
                blockers=one.blockers,
                by_runtime=(),
            )
            for one in self.by_runtime
        ) or (self,)

    def values(self) -> dict[str, Any]:
        """The same as values that JSON has."""
        return {**asdict(self), "by_runtime": [asdict(one) for one in self.by_runtime]}


class Checked(NamedTuple):
    """A model that was checked: its row, and its line of JSON where that is wanted."""

    row: ModelRow
    line: str | None = None


def row_from(values: dict[str, Any]) -> ModelRow:
    """A row by its `values`, as JSON gives them back."""
    outcome = values["outcome"]
    gains = {key: values[key] and GainFigures(*values[key]) for key in ("gain", "gain_if_fixed")}
    return ModelRow(
        **values
        | gains
        | {
            "outcome": None if outcome is None else Outcome(outcome),
            "blockers": tuple(values["blockers"]),
            "rules": tuple(RuleCount(*rule) for rule in values["rules"]),
            "severities": {Severity(name): count for name, count in values["severities"].items()},
            "failures": tuple(values["failures"]),
            "by_runtime": tuple(map(_runtime, values["by_runtime"])),
        }
    )


def row_of(record: Record) -> ModelRow:
    """The row of a record."""
    summary, fixes, findings = record["summary"], record["fixes"], record["findings"]
    rules = Counter((finding["rule"], finding["name"]) for finding in findings)
    return ModelRow(
        path=record["path"],
        runtime=record["runtime"],
        cpu=record["cpu"],
        outcome=None if record["outcome"] is None else Outcome(record["outcome"]),
        spmm=None if summary is None else summary["spmm"],
        pointwise_convs=None if summary is None else summary["pointwise_convs"],
        gain=_figures(record["gain"]),
        gain_if_fixed=_figures(record["gain_if_fixed"]),
        blockers=_blockers(findings),
        rules=tuple(RuleCount(code, name, count) for (code, name), count in rules.items()),
        severities={Severity(name): n for name, n in Counter(f["severity"] for f in findings).items()},
        safe_fixes=0 if fixes is None else fixes["safe"],
        unsafe_fixes=0 if fixes is None else fixes["unsafe"],
        ignored=record["suppressed"]["ignored"],
        accepted=record["suppressed"]["baseline"],
        next=record["next"],
        bytes=record["bytes"],
        sha256=record["sha256"],
        exit_code=record["exit_code"],
        failures=tuple(record["failures"]),
        error=record["error"],
        by_runtime=tuple(map(_runtime, record.get("runtimes", ()))),
    )


def _runtime(one: dict[str, Any]) -> RuntimeOutcome:
    outcome = None if one["outcome"] is None else Outcome(one["outcome"])
    return RuntimeOutcome(one["runtime"], outcome, one["spmm"], one["pointwise_convs"], tuple(one["blockers"]))


def _figures(gain: dict[str, Any] | None) -> GainFigures | None:
    return None if gain is None else GainFigures(gain["ratio"], gain["low"], gain["high"], gain["measured_on_cpu"])


def _blockers(findings: list[dict[str, Any]]) -> tuple[str, ...]:
    """The rules of the smallest set of changes; findings come in the order of what they unlock."""
    return tuple(dict.fromkeys(f["rule"] for f in findings if f["unlocks"] and f["unlocks"]["in_smallest_set"]))
