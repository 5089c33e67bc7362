"""A trial run: does the smallest sparse model run sparse on a target?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.runtime.observe import observe_on
from xnnlint.runtime.targets import Target

_SECONDS = 60.0


def trouble(target: Target) -> str:
    """Why it does not, as the end of a sentence, or ""."""
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as folder:
        path = Path(folder) / "trial.tflite"
        path.write_bytes(smallest())
        (seen,) = observe_on([path], target, None, (0,), _SECONDS, 1)
    if seen.status != "ran":
        return f"a model does not run ({seen.error})"
    return "" if seen.spmm else "a sparse model runs dense"


def smallest() -> bytes:
    """The smallest graph that XNNPACK runs sparse: a padded 3x3 convolution with stride 2 enters, a pruned 1x1
    convolution follows, and a MEAN ends it."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 8, 8, 3))), 8, kernel=3, stride=2)
    g.output(g.mean(g.conv2d(x, 8, zeros=0.8, storage="sparse")))
    return g.build()
