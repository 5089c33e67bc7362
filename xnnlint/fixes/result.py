"""What a search for changes found, and what was done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from xnnlint.linter.findings import FixOutcome

if TYPE_CHECKING:
    from xnnlint.cost.prediction import Gain
    from xnnlint.fixes.change import Change
    from xnnlint.fixes.not_made import NotMade
    from xnnlint.linter.findings import Finding
    from xnnlint.runtime.ratio import Ratio
    from xnnlint.xnnpack.plan import Plan


class Version(Protocol):
    """A model with some changes made, and what the runtime does with it."""

    @property
    def plan(self) -> Plan: ...

    @property
    def changes(self) -> Sequence[Change]: ...

    @property
    def assumed(self) -> float | None:
        """The share of zeros that it was planned with instead of its own."""

    @property
    def spmm(self) -> frozenset[int]:
        """The operators that run SpMM, as far as that is a gain."""

    @property
    def pointwise(self) -> frozenset[int]:
        """The operators that could."""


V = TypeVar("V", bound=Version)


def outcome_of(version: Version) -> FixOutcome:
    """What a version is, in figures."""
    return FixOutcome(len(version.changes), version.plan.outcome, len(version.spmm), len(version.pointwise))


class Measured(Struct, frozen=True):
    """Two versions of a model, timed here.

    Attributes:
        ratio: how many times as fast the changed one is.
        before, after: microseconds of a run.
        place: where, as the end of "measured ...".
        cpu, execution: the same for programs.
    """

    ratio: Ratio
    before: float
    after: float
    place: str
    cpu: str
    execution: str


class Declined(Struct, Generic[V], frozen=True):
    """Changes that were found and not made, since the model would be slower.

    Attributes:
        version: the model with them.
        gain: what is predicted.
        measured: what was measured, where the prediction was better than that; else None.
    """

    version: V
    gain: Gain
    measured: Measured | None = None


class Result(Struct, Generic[V]):
    """What was found; nothing is proven or written.

    Attributes:
        path: the model, as the user gave it.
        before, after: the model as it was, and with the changes; the same where there are none.
        refused: (place, reason) of what could have been changed and was not.
        not_made: the changes that were considered and are not made, by kind and reason.
        findings: of the model with the changes.
        remaining: those of them that stand between the model and sparse, or make it wrong.
        complete: False where the budget ended first: then there may be better changes, or fewer that do the same.
        gain: how much faster the model is predicted to be with the changes; None without changes, or where nothing can
            be said.
        declined: what was found and does not pay, where nothing is changed for it.
    """

    path: str
    before: V
    after: V
    refused: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remaining: list[Finding] = field(default_factory=list)
    complete: bool = True
    gain: Gain | None = None
    declined: Declined[V] | None = None
    not_made: list[NotMade] = field(default_factory=list)

    @property
    def changes(self) -> Sequence[Change]:
        """In the order in which they are made."""
        return self.after.changes

    def answers(self, finding: Finding) -> list[Change]:
        """The changes that are made at the place of a finding of `before`, for its condition."""
        return [change for change in self.changes if change.answers(finding)]


class Proof(Struct, frozen=True):
    """What was seen of a changed model before it may be written.

    Attributes:
        passed: whether it may.
        reason: why not, as the end of a sentence; "" where it may.
        facts: sentences on what was proved, without full stops.
    """

    passed: bool = True
    reason: str = ""
    facts: tuple[str, ...] = ()


class Repair(Struct, Generic[V]):
    """What was done to a model file, or would be.

    Attributes:
        result: the changes, and what comes of them.
        proof: None where nothing was changed, or no proof was wanted.
        measured: both versions' times; None where they were not measured, and `not_measured` says why.
        written: where the changed model is, or ""; backup: where the model as it was is, or "".
        with_unsafe: the model as unsafe fixes would make it, where that is asked and they would do more.
    """

    result: Result[V]
    proof: Proof | None = None
    measured: Measured | None = None
    not_measured: str = ""
    written: str = ""
    backup: str = ""
    with_unsafe: V | None = None

    def add_facts(self, facts: Iterable[str]) -> None:
        """Something more was proved."""
        proof = self.proof or Proof()
        self.proof = replace(proof, facts=(*proof.facts, *facts))

    @property
    def path(self) -> str:
        return self.result.path

    @property
    def before(self) -> V:
        return self.result.before

    @property
    def after(self) -> V:
        return self.result.after

    @property
    def changes(self) -> Sequence[Change]:
        return self.result.changes

    @property
    def refused(self) -> list[tuple[str, str]]:
        return self.result.refused

    @property
    def not_made(self) -> list[NotMade]:
        return self.result.not_made

    @property
    def remaining(self) -> list[Finding]:
        return self.result.remaining

    @property
    def declined(self) -> Declined[V] | None:
        return self.result.declined

    @property
    def exit_code(self) -> int:
        return 1 if self.remaining else 0
