"""Times two variants of a model here, until the ratio of their times is known well enough."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.runtime.ratio import Ratio

from .operators import Ran, TimedOperator, timed_operators

if TYPE_CHECKING:
    from xnnlint.runtime.observation import Observation
    from xnnlint.runtime.timing import OperatorTime, Timing
    from xnnlint.runtime.verify import Setting

    from .variants import Pair, Variant


class Effort(Struct, frozen=True):
    """How much was measured.

    Attributes:
        threads: of XNNPACK.
        processes: that were started, one after the other.
        rounds: runs of each variant in each of them, on average.
        seconds: wall time of the timing.
    """

    threads: int
    processes: int
    rounds: float
    seconds: float


class Side(Struct, frozen=True):
    """One variant as it ran.

    Attributes:
        microseconds: of a whole run, so that those of two sides have the measured ratio; None where it does not run.
        operators: in the order of a run, with what was predicted and did not run.
    """

    variant: Variant
    microseconds: float | None
    operators: tuple[TimedOperator, ...] = ()

    @property
    def as_planned(self) -> bool:
        """Whether the operators that ran are those of the plan."""
        return all(operator.agrees for operator in self.operators)


class Measurement(Struct, frozen=True):
    """Two variants, timed here.

    Attributes:
        ratio: how many times as fast `after` is; None where it does not run.
        observation: a run of `after` beside the reference, for whether its results are right.
    """

    pair: Pair
    before: Side
    after: Side
    ratio: Ratio | None
    observation: Observation
    effort: Effort

    @property
    def is_right(self) -> bool:
        return self.observation.outcome in ("sparse", "dense")

    @property
    def is_gain(self) -> bool:
        """Whether `after` is right, and not slower."""
        return self.is_right and self.ratio is not None and not self.ratio.is_slower

    @property
    def exit_code(self) -> int:
        """0: `after` is right, not slower, and ran as predicted; else 1."""
        return 0 if self.is_gain and self.before.as_planned and self.after.as_planned else 1


def measure(
    pair: Pair,
    setting: Setting,
    *,
    seconds: float = 30.0,
    threads: int = 1,
    progress: Callable[[int, Ratio | None], None] = lambda processes, ratio: None,
) -> Measurement:
    """Time a pair, each process with both variants in turns, until the ratio is known well enough or time is up.

    Args:
        setting: where; from `runtime.verify.choose`.
        seconds: for the timing; see `runtime.timing_pair.time_pair`.
        threads: of XNNPACK.
        progress: is called before each process, with how many are done and the ratio so far.

    Raises:
        XnnlintError: it cannot be timed here, or `before` does not run.
    """
    from xnnlint.runtime.observe import fast_folder
    from xnnlint.runtime.timing import timed_library
    from xnnlint.runtime.timing_pair import time_pair

    timed_library(setting.target)
    with tempfile.TemporaryDirectory(prefix="xnnlint-", dir=fast_folder()) as folder:
        paths = [Path(folder, f"{side}.tflite") for side in ("before", "after")]
        for path, variant in zip(paths, (pair.before, pair.after), strict=True):
            path.write_bytes(variant.data)
        progress(0, None)
        observation = _observed(paths[1], setting)
        if observation.status != "ran":
            sides = (Side(pair.before, None), Side(pair.after, None))
            return Measurement(pair, *sides, None, observation, Effort(threads, 0, 0, 0))
        started = time.monotonic()
        timed = time_pair(paths, setting.target, seconds=seconds, threads=threads, progress=progress)
    rounds = statistics.fmean(len(after.walls) for after in timed.after)
    effort = Effort(threads, len(timed.after), rounds, time.monotonic() - started)
    before, after = (
        Side(variant, statistics.geometric_mean(timing.total for timing in of_side), _operators(variant, of_side))
        for variant, of_side in zip((pair.before, pair.after), (timed.before, timed.after), strict=True)
    )
    return Measurement(pair, before, after, timed.ratio, observation, effort)


def _observed(path: Path, setting: Setting) -> Observation:
    """One run for its results."""
    from xnnlint.runtime.observe import observe

    target = setting.target
    (observation,) = observe([path], cpu=target.cpu, litert_version=target.release.version, seeds=setting.seeds)
    return observation


def _operators(variant: Variant, timings: Sequence[Timing]) -> tuple[TimedOperator, ...]:
    """Each operator's mean over the processes, in all of which the same ones run."""
    xnnpack, tflite = timings[0].operators, timings[0].tflite
    return timed_operators(
        variant.plan,
        Ran(
            tuple(operator.name for operator in xnnpack),
            tuple(operator.index for operator in xnnpack),
            tuple(map(_mean, zip(*(timing.operators for timing in timings), strict=True))),
            tuple(operator.name for operator in tflite),
            tuple(map(_mean, zip(*(timing.tflite for timing in timings), strict=True))),
        ),
    )


def _mean(operators: Sequence[OperatorTime]) -> float:
    return statistics.fmean(operator.microseconds for operator in operators)
