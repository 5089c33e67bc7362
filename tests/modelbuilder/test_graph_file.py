"""Graphs that are written as files: the plan is the same, and LiteRT runs what a Keras model was lowered to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES, committed
from xnnlint.loaders import load
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.model.graph import Model
from xnnlint.modelbuilder.graph_file import write_graphs
from xnnlint.runtime.verify import choose, verify_each
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

KERAS = ("guide_sparse.keras", "guide_keras3.keras", "guide_no_keepdims.keras", "cases/tfk_mbv3_hswish_div.keras")


def plan(model: Model) -> Plan:
    return make_plan(model, load_profile(DEFAULT_RUNTIME, DEFAULT_CPU))


def float_models() -> list[Path]:
    """The committed files without quantized values and custom operators."""
    found = []
    for path in committed():
        model = load(path)
        quantized = any(t.quantization is not None and t.quantization.scale for t in model.main.tensors)
        if len(model.graphs) == 1 and not quantized and not any(op.type == "CUSTOM" for op in model.main.operators):
            found.append(path)
    return found


def test_files_that_are_read_and_written_again_say_the_same() -> None:
    models = float_models()
    assert len(models) > 40
    for path in models:
        before = load(path)
        after = load_bytes(write_graphs([before.main]), str(path))
        assert [(op.type, op.inputs, op.outputs, op.version) for op in after.main.operators] == [
            (op.type, op.inputs, op.outputs, op.version) for op in before.main.operators
        ], path
        for old, new in zip(before.main.operators, after.main.operators, strict=True):
            assert old.attributes == new.attributes, (path, old)
        for a, b in zip(before.main.tensors, after.main.tensors, strict=True):
            assert (a.name, a.dtype, a.shape, a.shape_signature, a.has_rank) == (
                b.name, b.dtype, b.shape, b.shape_signature, b.has_rank
            ), path  # fmt: skip
            if a.stored is not None:
                assert b.stored is not None
                np.testing.assert_array_equal(a.stored(), b.stored(), str(path))


@pytest.mark.parametrize("name", KERAS)
def test_a_lowered_model_is_planned_alike(name: str) -> None:
    model = load(FIXTURES / name)
    before, after = plan(model), plan(load_bytes(write_graphs([model.main]), name))
    assert [kernel.is_spmm for kernel in after.kernels] == [kernel.is_spmm for kernel in before.kernels]
    assert [op.type for op in after.graph.operators] == [op.type for op in before.graph.operators]
    assert (after.outcome, after.spmm_ops) == (before.outcome, before.spmm_ops)


@pytest.mark.judge
@pytest.mark.parametrize("name", KERAS)
def test_a_lowered_model_runs_as_it_is_planned(name: str, tmp_path: Path) -> None:
    model, path = load(FIXTURES / name), tmp_path / "lowered.tflite"
    path.write_bytes(write_graphs([model.main]))
    (seen,) = verify_each([str(path)], choose(seeds=1))
    assert seen.agrees, seen.differs
    assert seen.observation is not None
    assert seen.observation.outcome == plan(model).outcome.value
    assert seen.observation.spmm == len(plan(model).spmm_ops)
