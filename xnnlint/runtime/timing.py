"""How long models and their operators take in the real runtime, in this machine's time.

Minima are steady even on a busy machine, whole-run medians are not: a run, or an operator, that is disturbed only gets
slower. XNNPACK hands its times out in whole microseconds, rounded down, so an operator's time here is the mean of the
lowest fifth of its readings, and half a microsecond: readings differ by more than nothing, which tells more than the
one lowest whole number does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import XnnlintError
from xnnlint.runtime import targets
from xnnlint.runtime.inputs import write_inputs
from xnnlint.runtime.observe import fast_folder
from xnnlint.runtime.process import Child, ChildEnded, ChildTimeout
from xnnlint.runtime.workers import XNNPACK_OPERATOR_EVENT

ROUNDING = 0.5
"""Microseconds that XNNPACK's rounding takes from an operator's time, on average."""
LOWEST = 0.2
"""Share of the readings that counts."""
CHILD = Path(__file__).parent / "timing_child.py"


class NotTimed(XnnlintError):
    """This machine or this release cannot be timed."""


class OperatorTime(Struct, frozen=True):
    """An operator's time: `name` and `index` as the profiler has them, in a run's order."""

    name: str
    index: int
    microseconds: float


class Timing(Struct, frozen=True):
    """One model's times.

    Attributes:
        path: as given.
        error: why it could not be timed; everything else is then empty.
        operators: XNNPACK's operators, in execution order.
        tflite: the operators that TFLite runs itself, in execution order.
        walls: time of each whole run, microseconds, in the order of the rounds.
        beside: microseconds of a run that no operator took.
    """

    path: str
    error: str | None = None
    operators: tuple[OperatorTime, ...] = ()
    tflite: tuple[OperatorTime, ...] = ()
    walls: tuple[float, ...] = ()
    beside: float = 0.0

    @property
    def total(self) -> float:
        """Microseconds of a run: its operators' times and what is beside them.

        Of a run of some milliseconds on a busy machine none is undisturbed, and `low` and `best` are too long; of each
        operator, and of what is beside them, some are.
        """
        return sum(operator.microseconds for operator in (*self.operators, *self.tflite)) + self.beside

    @property
    def best(self) -> float:
        """The fastest whole run, microseconds."""
        return min(self.walls)

    @property
    def low(self) -> float:
        """The mean of the fastest fifth of the whole runs, microseconds."""
        return low_mean(self.walls)

    def best_of(self, other: Timing) -> Timing:
        """Of each operator the shorter time of two timings of the same model, and the whole runs of the faster one."""
        if self.error is not None:
            return other
        if other.error is not None or len(self.operators) != len(other.operators):
            return self
        faster = self if self.low <= other.low else other
        return replace(
            faster,
            operators=tuple(map(_shorter, self.operators, other.operators)),
            tflite=tuple(map(_shorter, self.tflite, other.tflite)),
        )


def _shorter(one: OperatorTime, other: OperatorTime) -> OperatorTime:
    return one if one.microseconds <= other.microseconds else other


def low_mean(readings: Sequence[float]) -> float:
    """The mean of the lowest fifth."""
    kept = sorted(readings)[: max(1, round(len(readings) * LOWEST))]
    return sum(kept) / len(kept)


def time_models(
    paths: Iterable[str | Path],
    target: targets.Target,
    *,
    rounds: int = 50,
    seconds: float = 60.0,
    threads: int = 1,
    timeout: float = 600.0,
) -> list[Timing]:
    """Time models in one child process, in turns, so that what disturbs one disturbs all.

    Args:
        paths: .tflite files. All of them are held in memory at once (some 60 MB more than the model each).
        target: where; only native ones tell anything about time.
        rounds: runs of each model that count.
        seconds: after which no further round begins.
        threads: of XNNPACK.
        timeout: seconds to load all, and seconds above `seconds` to run them.

    Raises:
        NotTimed: the target is emulated, or its release has no profiler.
    """
    library = timed_library(target)
    listed = [str(path) for path in paths]
    command = [target.python, "-I", "-S", str(CHILD), str(library), target.release.version]
    with tempfile.TemporaryDirectory(prefix="xnnlint-", dir=fast_folder()) as folder:
        child = Child(command, Path(folder) / "log", target.environment)
        try:
            child.send({"models": listed, "threads": threads})
            loaded = child.receive(timeout)["models"]
            files = [_inputs(model, Path(folder), number) for number, model in enumerate(loaded)]
            child.send({"inputs": files, "rounds": rounds, "seconds": seconds})
            timings = child.receive(timeout + seconds)["timings"]
        except (ChildTimeout, ChildEnded) as error:
            return [Timing(path, error=str(error)) for path in listed]
        finally:
            child.close()
    return [_timing(path, answer) for path, answer in zip(listed, timings, strict=True)]


def timed_library(target: targets.Target) -> Path:
    """The library that is timed.

    Raises:
        NotTimed: as `time_models`, before anything runs.
    """
    if target.emulated:
        raise NotTimed("times under emulation tell nothing; time on a native target")
    if target.release.library is None:
        raise NotTimed(f"LiteRT {target.release.version} has no profiler that this can read; from 2.1 on there is one")
    return target.release.library


def _inputs(model: dict[str, Any], folder: Path, number: int) -> list[str] | None:
    if "error" in model:
        return None
    place = folder / f"model{number}"
    place.mkdir()
    try:
        written = write_inputs(model["inputs"], (0,), place)[0]
    except ValueError:
        return None
    return [written[tensor["index"]] for tensor in model["inputs"]]


def _timing(path: str, answer: dict[str, Any]) -> Timing:
    if "error" in answer:
        return Timing(path, error=answer["error"])
    xnnpack, tflite = [], []
    beside = [profiled / 1000 for profiled in answer["profiled"]]
    for kind, name, index, readings in answer["operators"]:
        if kind == XNNPACK_OPERATOR_EVENT:
            xnnpack.append(OperatorTime(name, index, low_mean(readings) + ROUNDING))
        elif "delegate" not in name.lower():
            tflite.append(OperatorTime(name, index, low_mean(readings)))
        else:
            continue
        rounding = ROUNDING if kind == XNNPACK_OPERATOR_EVENT else 0.0
        beside = [rest - reading - rounding for rest, reading in zip(beside, readings, strict=True)]
    walls = tuple(wall / 1000 for wall in answer["walls"])
    in_operators = sum(operator.microseconds for operator in (*xnnpack, *tflite))
    # Both are too long: of long models no whole run is undisturbed, and the profiler takes some 0.1 ms for itself.
    rest = max(0.0, min(low_mean(beside), min(walls) - in_operators))
    return Timing(path, None, tuple(xnnpack), tuple(tflite), walls, rest)
