"""Whether an output of a quantized model lies among what others make of the same file.

TFLite's reference kernels, its optimized kernels and XNNPACK round in different places, so that an error says little
by itself: a stock uint8 MobileNet is off by 5 of 255. It is judged in steps of the output's scale, beside how far the
others are from each other and from a float evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from msgspec.structs import replace

from xnnlint.model.graph import Quantization
from xnnlint.runtime.observation import OutputError, Unit

Runs = Sequence[np.ndarray]
"""An output, one array per seed."""


def judged(output: OutputError, seen: Runs, others: Sequence[Runs], scales: Mapping[int, Quantization]) -> OutputError:
    """The output with its distance from the nearest of the others, and how far those are from each other.

    Args:
        seen: as the runtime in question gave it.
        others: as others gave it, the reference first; in float where that was evaluated in float.
        scales: of the outputs that are quantized.
    """
    # Where one is finite and the other is not, no rounding is to blame.
    if not output.wrong or len(others) < 2 or output.max_rel_error == math.inf:
        return output
    quantization = scales.get(output.index)
    whole = np.dtype(output.dtype).kind in "iub"
    unit: Unit = "step" if quantization is not None else "share" if whole else "relative"
    measured = [_in_steps(runs, quantization) for runs in (seen, *others)]
    if any(run.size != theirs.size for runs in measured[1:] for run, theirs in zip(measured[0], runs, strict=True)):
        return output
    nearest = min(_distance(measured[0], runs, unit) for runs in measured[1:])
    spread = max(_distance(one, other, unit) for one, other in combinations(measured[1:], 2))
    return replace(output, unit=unit, nearest=nearest, spread=spread)


def _in_steps(runs: Runs, quantization: Quantization | None) -> Runs:
    """Numbers as the integers, not rounded, that stand for them."""
    if quantization is None or runs[0].dtype.kind != "f":
        return runs
    return [run / quantization.scale[0] + quantization.zero_point[0] for run in runs]


def _distance(one: Runs, other: Runs, unit: Unit) -> float:
    return max(_distance_of(a, b, unit) for a, b in zip(one, other, strict=True))


def _distance_of(a: np.ndarray, b: np.ndarray, unit: Unit) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if unit == "share":
        return float(np.mean(a != b)) if a.size else 0.0
    difference = float(np.abs(a - b).max(initial=0.0))
    return difference if unit == "step" else difference / max(float(np.abs(b).max(initial=0.0)), 1e-6)
