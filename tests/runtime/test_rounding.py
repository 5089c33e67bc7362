"""Outputs of quantized models among what others make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from tests.difftest.generate import random_model
from tests.models import FIXTURES
from xnnlint.loaders.tflite.read_tflite import load
from xnnlint.model.graph import Quantization
from xnnlint.runtime.float_evaluation import float_file, output_scales
from xnnlint.runtime.observation import OutputError
from xnnlint.runtime.observe import observe
from xnnlint.runtime.rounding import judged

SCALE = {7: Quantization((0.5,), (10,))}


def error(dtype: str = "uint8") -> OutputError:
    return OutputError(7, "y", dtype, (4,), (4,), False, 5.0, 0.1, 0, 0, 0.1)


def ints(*numbers: int) -> list[np.ndarray]:
    return [np.array(numbers, np.uint8)]


def test_error_in_steps_is_right_among_the_others() -> None:
    """The float evaluation gives 12, which is 34 steps; the reference gives 30, and 33 is seen."""
    found = judged(error(), ints(33), [ints(30), [np.array([12.0], np.float32)]], SCALE)
    assert (found.unit, found.nearest, found.spread, found.wrong) == ("step", 1.0, 4.0, False)


def test_error_beyond_all_of_them_is_wrong() -> None:
    found = judged(error(), ints(60), [ints(30), [np.array([12.0], np.float32)]], SCALE)
    assert (found.nearest, found.wrong) == (26.0, True)


def test_indices_count_by_how_many_differ() -> None:
    found = judged(error("int64"), ints(1, 2, 3, 4), [ints(1, 2, 3, 9), ints(1, 2, 9, 9)], {})
    assert (found.unit, found.nearest, found.spread, found.wrong) == ("share", 0.25, 0.25, False)


def test_nothing_is_asked_of_a_right_output() -> None:
    right = OutputError(7, "y", "uint8", (4,), (4,), False, 0.0, 0.0, 0, 0)
    assert judged(right, ints(1), [ints(1), ints(2)], SCALE) is right


@pytest.mark.judge
@pytest.mark.parametrize("name", ["guide_int8", "guide_int8_io"])
def test_float_evaluation_is_near_the_quantized_run(name: str, tmp_path: Path) -> None:
    """Both run in LiteRT: the numbers that the integers stand for agree to a few steps."""
    path = FIXTURES / f"{name}.tflite"
    data = float_file(str(path))
    assert data is not None
    (tmp_path / "float.tflite").write_bytes(data)
    graph = load(tmp_path / "float.tflite").main
    weighted = [op for op in graph.operators if op.type == "CONV_2D"]
    assert weighted and all(graph.tensors[t].dtype == "FLOAT32" for op in weighted for t in op.inputs)
    (seen,) = observe([tmp_path / "float.tflite"])
    assert seen.outcome == "dense"
    assert set(output_scales(str(path))) == (set(graph.outputs) if name == "guide_int8_io" else set())


@pytest.mark.judge
def test_float_evaluation_unpacks_weights_however_they_are_stored(tmp_path: Path) -> None:
    """XNNPACK and TFLite's kernels quantize what a convolution of int8 weights reads, and not alike: they are 7% apart,
    and only the float evaluation tells that this is rounding. Other weights are stored sparse, and in float16."""
    path = tmp_path / "model.tflite"
    path.write_bytes(random_model(7001522)[0])
    (seen,) = observe([path])
    assert seen.outcome == "dense"
    assert seen.outputs[0].max_rel_error is not None and seen.outputs[0].max_rel_error > 0.05
    data = float_file(str(path))
    assert data is not None
    (tmp_path / "float.tflite").write_bytes(data)
    graph = load(tmp_path / "float.tflite").main
    assert all(t.dtype in ("FLOAT32", "INT32") and t.sparsity is None for t in graph.tensors)
    assert [seen.outcome for seen in observe([tmp_path / "float.tflite"])] == ["dense"]


def test_nan_is_no_rounding() -> None:
    """No distance can be told from it, and nothing is near."""
    seen = [np.array([np.nan], np.float32)]
    nan = replace(error(), dtype="float32", max_rel_error=np.inf)
    others = [[np.array([1.0], np.float32)], [np.array([1.1], np.float32)]]
    assert judged(nan, seen, others, {}).wrong
