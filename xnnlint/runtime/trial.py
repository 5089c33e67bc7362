"""A trial run: does the smallest sparse model run sparse in a child?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.runtime.inputs import write_inputs
from xnnlint.runtime.observation import is_spmm
from xnnlint.runtime.workers import Run, Worker

_SECONDS = 60.0


def trouble(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Why it does not, as the end of a sentence, or "".

    Args:
        command, environment: of the child, as for a Worker.
    """
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as name:
        folder = Path(name)
        model = folder / "model.tflite"
        model.write_bytes(smallest())
        worker = Worker(command, environment, folder / "child", 1, _SECONDS)
        try:
            run = _run(worker, model)
        finally:
            worker.close()
    if run.profile is None:
        return f"a model does not run ({run.error})"
    return "" if any(map(is_spmm, run.profile.kernels)) else "a sparse model runs dense"


def _run(worker: Worker, model: Path) -> Run:
    worker.start_load(str(model))
    loaded = worker.finish_load()
    worker.start_run(write_inputs(loaded.tensors["inputs"], (0,), model.parent) if loaded.tensors else [])
    return worker.finish_run()


def smallest() -> bytes:
    """The smallest graph that XNNPACK runs sparse: a padded 3x3 convolution with stride 2 enters, a pruned 1x1
    convolution follows, and a MEAN ends it."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 8, 8, 3))), 8, kernel=3, stride=2)
    g.output(g.mean(g.conv2d(x, 8, zeros=0.8, storage="sparse")))
    return g.build()
