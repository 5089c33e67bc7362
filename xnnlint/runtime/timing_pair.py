"""Times two models here, until the ratio of their times is known well enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.runtime.ratio import MOST, Ratio, ratio_of
from xnnlint.runtime.targets import Target
from xnnlint.runtime.timing import Timing, time_models

PRECISE = 0.02
"""How far the ends of the interval may be from the ratio, relative to it."""
LEAST = 3
"""Processes; with fewer, an interval says nothing."""
ROUNDS = 50
"""Runs of each model in a process, at most."""
_SHARE, _SHORTEST, _LONGEST = 0.1, 0.5, 10.0


class PairTiming(Struct, frozen=True):
    """Two models, timed by some processes one after the other.

    Attributes:
        before, after: of each process.
        ratio: how many times as fast `after` is.
    """

    before: tuple[Timing, ...]
    after: tuple[Timing, ...]
    ratio: Ratio


def time_pair(
    paths: Sequence[Path],
    target: Target,
    *,
    seconds: float = 30.0,
    threads: int = 1,
    precise: float = PRECISE,
    progress: Callable[[int, Ratio | None], None] = lambda processes, ratio: None,
) -> PairTiming:
    """Times two files, each process with both in turns, until the ratio is known to `precise` or time is up.

    Args:
        paths: before, and after.
        target: a native one.
        seconds: for the timing; at least `LEAST` processes run whatever they take.
        threads: of XNNPACK.
        precise: see `PRECISE`.
        progress: is called before each process, with how many are done and the ratio so far.

    Raises:
        NotTimed: see `time_models`.
        XnnlintError: one of them does not run.
    """
    share = min(max(seconds * _SHARE, _SHORTEST), _LONGEST)
    timings: list[tuple[Timing, Timing]] = []
    started, ratio = time.monotonic(), None
    while len(timings) < MOST:
        progress(len(timings), ratio)
        before, after = time_models(paths, target, rounds=ROUNDS, seconds=share, threads=threads)
        for name, timing in (("before", before), ("after", after)):
            if timing.error is not None:
                raise XnnlintError(f"the variant {name!r} cannot be timed: {timing.error}")
        timings.append((before, after))
        ratio = ratio_of([one.total / other.total for one, other in timings])
        spent = time.monotonic() - started
        is_last = ratio.precision <= precise or spent * (1 + 1 / len(timings)) > seconds
        if is_last and len(timings) >= LEAST:
            break
    assert ratio is not None
    return PairTiming(tuple(one for one, _ in timings), tuple(other for _, other in timings), ratio)
