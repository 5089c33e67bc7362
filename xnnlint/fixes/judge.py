"""Which of two versions of a model is better: the one that is right, and then the faster one.

Times are predicted (docs/cost-model.md). Where they hardly differ the cost model knows nothing, and the version that
reaches more convolutions with SpMM, or has fewer changes, is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from xnnlint.cost.prediction import Gain
from xnnlint.cost.predictor import compared, predict
from xnnlint.cost.profile import CostProfile, shipped_profile
from xnnlint.fixes.result import Version

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan

_WITHOUT_RATES = "arm64"
# Times that differ by less, relative and in microseconds, are the same: small operators are predicted no better.
_SLACK, _SMALLEST = 0.01, 0.5
# How many times as fast a version has to be that is neither right in the place of a wrong one nor runs more SpMM.
_WORTHWHILE = 1.05


class TimedVersion(Version, Protocol):
    """A version that can be judged."""

    @property
    def microseconds(self) -> float:
        """Predicted time of a run; 0 where nothing can be said."""

    @property
    def reach(self) -> tuple[int, ...]:
        """How much runs SpMM; larger is more."""


V = TypeVar("V", bound=TimedVersion)


class Judge(Struct, frozen=True):
    """Compares versions of one model.

    Attributes:
        rates: of the CPU that is planned for; scaled ones where nobody measured it.
        by_time: whether the faster version is better; else the one with more SpMM is, however slow, and time decides
            among those with as much.
    """

    rates: CostProfile | None
    by_time: bool = True

    @classmethod
    def of(cls, cpu: str, *, even_if_slower: bool = False) -> Judge:
        rates = shipped_profile(cpu) or shipped_profile(_WITHOUT_RATES)
        return cls(rates, by_time=rates is not None and not even_if_slower)

    def microseconds(self, plan: Plan) -> float:
        """Predicted time of a run; 0 where nothing can be said."""
        found = predict(plan, self.rates) if self.rates is not None and plan.runs else None
        return 0.0 if found is None else found.total

    def gain(self, before: Plan, after: Plan) -> Gain | None:
        """What is predicted of two versions; None where one of them does not run, or nothing can be said."""
        return compared(before, after, self.rates) if self.rates is not None and before.runs and after.runs else None

    def worth(self, version: TimedVersion) -> tuple[float, ...]:
        """Larger is better."""
        if not version.plan.is_correct:
            return (0,)
        fast = -version.microseconds
        return (1, fast, *version.reach) if self.by_time else (1, *version.reach, fast)

    def best(self, versions: Sequence[V]) -> V:
        """Of some that are right; of those that are as fast as the fastest, the one that reaches most."""
        if self.by_time:
            limit = self.still_as_fast(min(version.microseconds for version in versions))
            versions = [version for version in versions if version.microseconds <= limit]
        return max(versions, key=lambda version: (version.reach, -version.microseconds, -len(version.changes)))

    def is_worthwhile(self, version: TimedVersion, origin: TimedVersion) -> bool:
        """Whether a version is right, and better than the file as it is by more than what hardly shows."""
        if not version.plan.is_correct or self.worth(version) <= self.worth(origin):
            return False
        if not origin.plan.is_correct or version.reach > origin.reach:
            return True
        return self.by_time and version.microseconds * _WORTHWHILE < origin.microseconds

    def is_faster(self, version: TimedVersion, other: TimedVersion) -> bool:
        """Whether a version is right, and tellingly faster than another."""
        return version.plan.is_correct and self.still_as_fast(version.microseconds) < other.microseconds

    def is_cheaper(self, version: TimedVersion, other: TimedVersion) -> bool:
        """Whether a version reaches as much in less time; or more, where that is what counts."""
        more = not self.by_time and version.reach > other.reach
        return version.reach >= other.reach and (more or self.is_faster(version, other))

    def still_as_fast(self, microseconds: float) -> float:
        """Up to what another time is the same as this one."""
        return microseconds + max(_SLACK * microseconds, _SMALLEST)
