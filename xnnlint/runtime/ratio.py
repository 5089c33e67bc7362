"""A ratio of times, and how sure it is.

Each process of a benchmark times both variants in turns, so whatever slows the machine down slows both, and their ratio
is one observation. Processes, not runs, are the sample: where a process happens to get its memory moves times by some
per cent, for all of its runs alike, so that more runs in one process say nothing about that (Kalibera and Jones,
"Rigorous benchmarking in reasonable time", ISMM 2013). The interval is Student's, of the mean of the logarithms, in
which a ratio of 2 and one of 1/2 are as far from 1. One process that was disturbed widens it, and so makes for more
processes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

# Two-sided 95% quantiles of Student's t for 1, 2, ... degrees of freedom.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
MOST = len(_T95) + 1
"""Processes; more than that are never needed for an interval of some per cent."""


class Ratio(Struct, frozen=True):
    """How many times as fast: the mean, and the interval of 95%; both None where a single observation has none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def precision(self) -> float:
        """How far the interval's ends are from the mean, relative to it; infinite without an interval."""
        return math.inf if self.high is None else self.high / self.value - 1

    @property
    def is_slower(self) -> bool:
        """Whether the whole interval is below 1."""
        return (self.value if self.high is None else self.high) < 1

    @property
    def is_faster(self) -> bool:
        """Whether the whole interval is above 1."""
        return (self.value if self.low is None else self.low) > 1


def ratio_of(observed: Sequence[float]) -> Ratio:
    """The geometric mean of positive ratios, one for each process, with its interval.

    Raises:
        ValueError: there are none, or more than `MOST`.
    """
    if not 1 <= len(observed) <= MOST:
        raise ValueError(f"{len(observed)} observations")
    logarithms = [math.log(ratio) for ratio in observed]
    mean = statistics.fmean(logarithms)
    if len(logarithms) == 1:
        return Ratio(math.exp(mean))
    error = statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    half = _T95[len(logarithms) - 2] * error
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half))
