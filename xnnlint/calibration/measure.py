"""Measured times of operators beside their work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.cost.plan_work import border_elements, tflite_work, xnnpack_work
from xnnlint.cost.work import TILES, Work
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert

if TYPE_CHECKING:
    from pathlib import Path

    from xnnlint.runtime.targets import Target
    from xnnlint.runtime.timing import Timing
    from xnnlint.xnnpack.profile import Profile

AT_ONCE = 6
"""Models that are timed in turns; each takes some 60 MB."""


class Sample(Struct, frozen=True):
    """One operator of a measured model.

    Attributes:
        work: what it has to do.
        microseconds: what it took.
        source: the network, whose variants are kept together in cross-validation.
        model: the variant of the network.
    """

    work: Work
    microseconds: float
    source: str
    model: str = ""


class RunSample(Struct, frozen=True):
    """One whole run: what it took (microseconds) and what its operators took together."""

    microseconds: float
    operators: float
    count: int
    partitions: int
    border: int
    source: str


class Measured(Struct, frozen=True):
    """What one model gave; `error` where it could not be timed, or ran other operators than planned."""

    path: str
    samples: tuple[Sample, ...] = ()
    run: RunSample | None = None
    error: str | None = None


def measure(
    paths: Sequence[Path],
    target: Target,
    sources: Sequence[str],
    *,
    rounds: int = 40,
    passes: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measured]:
    """Time models, a few in turns, and line up what ran with the plan.

    Args:
        paths: .tflite files.
        target: a native one.
        sources: for each path, what its samples are kept apart by in cross-validation.
        rounds: runs of each model that count, of all passes together.
        passes: how often it is gone through all models: for some seconds a machine may be slow as a whole, and what was
            timed then is timed again some minutes later.
        progress: is called with how many timings are done, of how many.
    """
    from xnnlint.runtime.timing import time_models

    best: list[Timing | None] = [None] * len(paths)
    done = 0
    for _ in range(passes):
        for start in range(0, len(paths), AT_ONCE):
            group = paths[start : start + AT_ONCE]
            for place, timing in enumerate(time_models(group, target, rounds=max(1, rounds // passes)), start):
                known = best[place]
                best[place] = timing if known is None or timing.error is not None else known.best_of(timing)
            done += len(group)
            if progress is not None:
                progress(done, len(paths) * passes)
    profile = load_profile(runtime_of_litert(target.release.version)[0], target.cpu)
    return [_measured(timing, source, profile) for timing, source in zip(best, sources, strict=True) if timing]


def _measured(timing: Timing, source: str, profile: Profile) -> Measured:
    from xnnlint.loaders import load

    if timing.error is not None:
        return Measured(timing.path, error=timing.error)
    plan = make_plan(load(timing.path), profile)
    if [operator.name for operator in timing.operators] != [kernel.kernel for kernel in plan.operators]:
        return Measured(timing.path, error="it ran other operators than planned")
    samples = [*lined_up(plan, timing, source)]
    if len(timing.tflite) == len(plan.tflite_ops):
        samples += _of_tflite(plan, timing, source)
    total = sum(operator.microseconds for operator in (*timing.operators, *timing.tflite))
    run = RunSample(timing.low, total, len(timing.operators), len(plan.partitions), border_elements(plan), source)
    return Measured(timing.path, tuple(samples), run)


def _of_tflite(plan: Plan, timing: Timing, source: str) -> list[Sample]:
    return [
        Sample(tflite_work(plan.graph, index), operator.microseconds, source, timing.path)
        for index, operator in zip(plan.tflite_ops, timing.tflite, strict=True)
    ]


def lined_up(plan: Plan, timing: Timing, source: str) -> Iterator[Sample]:
    """A plan's operators with their times."""
    planned = xnnpack_work(plan, TILES[plan.profile.cpu])
    for item, operator in zip(planned, timing.operators, strict=True):
        yield Sample(item.work, operator.microseconds, source, timing.path)
