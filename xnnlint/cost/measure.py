"""Measured times of operators beside their work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xnnlint.xnnpack.plan import Plan, make_plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert

from .plan_work import border_elements, tflite_work, xnnpack_work
from .work import TILES, Work

if TYPE_CHECKING:
    from pathlib import Path

    from xnnlint.runtime.targets import Target
    from xnnlint.runtime.timing import Timing

AT_ONCE = 6
"""Models that are timed in turns; each takes some 60 MB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One operator: its work, what it took (microseconds), and the network that it was in."""

    work: Work
    microseconds: float
    source: str
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class RunSample:
    """One whole run: what it took (microseconds) and what its operators took together."""

    microseconds: float
    operators: float
    count: int
    partitions: int
    border: int
    source: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model gave; `error` where it could not be timed, or ran other operators than planned."""

    path: str
    samples: tuple[Sample, ...] = ()
    run: RunSample | None = None
    error: str | None = None


def measure(
    paths: Sequence[Path], target: Target, sources: Sequence[str], *, rounds: int = 40, seconds: float = 60.0
) -> Iterator[Measured]:
    """Time models, a few in turns, and line up what ran with the plan.

    Args:
        paths: .tflite files.
        target: a native one.
        sources: for each path, what its samples are kept apart by in cross-validation.
        rounds, seconds: for each group of models, see timing.time_models.
    """
    from xnnlint.loaders import load
    from xnnlint.runtime.timing import time_models

    profile = load_profile(runtime_of_litert(target.release.version)[0], target.cpu)
    for start in range(0, len(paths), AT_ONCE):
        group = list(zip(paths, sources, strict=True))[start : start + AT_ONCE]
        timings = time_models([path for path, _ in group], target, rounds=rounds, seconds=seconds)
        for (path, source), timing in zip(group, timings, strict=True):
            if timing.error is not None:
                yield Measured(str(path), error=timing.error)
                continue
            plan = make_plan(load(path), profile)
            names = [operator.name for operator in timing.operators]
            if names != [kernel.kernel for kernel in plan.operators]:
                yield Measured(str(path), error="it ran other operators than planned")
                continue
            samples = [*lined_up(plan, [operator.microseconds for operator in timing.operators], source)]
            if len(timing.tflite) == len(plan.tflite_ops):
                samples += _of_tflite(plan, timing, source)
            total = sum(operator.microseconds for operator in (*timing.operators, *timing.tflite))
            count, partitions = len(timing.operators), len(plan.partitions)
            run = RunSample(timing.low, total, count, partitions, border_elements(plan), source)
            yield Measured(str(path), tuple(samples), run)


def _of_tflite(plan: Plan, timing: Timing, source: str) -> list[Sample]:
    return [
        Sample(tflite_work(plan.graph, index), operator.microseconds, source, operator.name)
        for index, operator in zip(plan.tflite_ops, timing.tflite, strict=True)
    ]


def lined_up(plan: Plan, times: Iterable[float], source: str) -> Iterator[Sample]:
    """A plan's operators with their times."""
    planned = xnnpack_work(plan, TILES[plan.profile.cpu])
    for item, microseconds in zip(planned, times, strict=True):
        yield Sample(item.work, microseconds, source, item.kernel.kernel)
