"""Kernels of quantized models, with the real runtime as judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xnnlint.fixes.tflite.editor import Edit
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import enum_value, table
from xnnlint.modelbuilder.storage import quantization_parameters
from xnnlint.runtime.verify import choose, verify_each

pytestmark = pytest.mark.judge
LOOKUP = "Invalid Unary Op"


def between(make: Callable[[ModelBuilder, Value], Value]) -> ModelBuilder:
    """A quantized model that something is in the middle of, between sums that no lookup takes up."""
    g = ModelBuilder()
    x = g.quantize(g.input((1, 4, 4, 8)))
    y = make(g, g.op("ADD", [x, x], [x.shape], dtype="int8", scale=0.1)[0])
    g.output(g.dequantize(g.op("ADD", [y, y], [y.shape], dtype="int8", scale=0.1)[0]))
    return g


def requantized(g: ModelBuilder, x: Value) -> Value:
    return g.quantize(g.dequantize(x), scale=0.1)


def root(g: ModelBuilder, x: Value) -> Value:
    return g.quantize(g.unary("SQRT", g.unary("ABS", g.dequantize(x))), scale=0.1)


def scaled(g: ModelBuilder, x: Value) -> Value:
    """By a constant, as often as elementwise operators of two values that are one go into the lookup."""
    half = g._value((), "half", data=np.array(50, np.int8), dtype="int8", quantization=quantization_parameters(0.01, 0))
    (y,) = g.op("MUL", [x, half], [x.shape], dtype="int8", scale=0.1)
    return g.op("SUB", [y, half], [x.shape], dtype="int8", scale=0.1)[0]


def read_twice(g: ModelBuilder, x: Value) -> Value:
    """What somebody else reads, too, stays."""
    y = g.dequantize(x)
    return g.quantize(g.binary("ADD", g.unary("ABS", y), y), scale=0.1)


def up_sampled(g: ModelBuilder, x: Value) -> Value:
    scales = np.linspace(0.01, 0.02, 6).astype(np.float32)
    kernel = g.rng.integers(-100, 100, (6, 2, 2, 8)).astype(np.int8)
    weights = g._value(kernel.shape, "up", data=kernel, dtype="int8", quantization=quantization_parameters(scales, 0))
    size = g.constant(np.array([1, 8, 8, 6], np.int32), "size")
    options = table("TransposeConvOptions", padding=enum_value("Padding", "SAME"), stride_h=2, stride_w=2)
    return g.op("TRANSPOSE_CONV", [size, weights, x], [(1, 8, 8, 6)], options, dtype="int8", scale=0.1, version=2)[0]


@pytest.mark.parametrize(
    ("make", "kernel", "count"),
    [
        (requantized, LOOKUP, 1),
        (root, LOOKUP, 1),
        (scaled, LOOKUP, 1),
        (read_twice, LOOKUP, 0),
        (up_sampled, "Deconvolution (NC, QS8, QC8W) Subconv2D", 1),
    ],
)
def test_kernels_are_the_runtimes(
    make: Callable[[ModelBuilder, Value], Value], kernel: str, count: int, tmp_path: Path
) -> None:
    (tmp_path / "m.tflite").write_bytes(between(make).build())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.agrees, found.rows
    assert [row.observed for row in found.rows].count(kernel) == count


def in_blocks() -> ModelBuilder:
    """4-bit weights of which 32 share a float16 scale."""
    g = ModelBuilder()
    x = g.input((2, 64))
    scales = g.constant(g.rng.uniform(0.01, 0.02, (16, 2)).astype(np.float16), "scales")
    blocks = table("BlockwiseQuantization", scales=scales.id, zero_points=-1, block_size=32)
    details = {"details_type": enum_value("QuantizationDetails", "BlockwiseQuantization"), "details": blocks}
    packed = g.rng.integers(-128, 128, 16 * 64 // 2).astype(np.int8)
    quantization = table("QuantizationParameters", **details)
    weights = g._value((16, 64), "kernel", data=packed, dtype="int4", quantization=quantization)
    g.output(*g.op("FULLY_CONNECTED", [x, weights], [(2, 16)], table("FullyConnectedOptions"), version=12))
    return g


def test_an_edit_keeps_the_scales_of_blocks() -> None:
    data = in_blocks().build()
    edit = Edit.open(data, "m.tflite")
    spare = edit.main.add_tensor("spare", (1,))
    edit.main.tensors.insert(0, edit.main.tensors.pop(spare))  # so that all others move
    edit.main._renumber({-1: -1} | {t: t + 1 for t in range(spare)})
    changed = load_bytes(edit.to_bytes(), "m.tflite").main
    before = load_bytes(data, "m.tflite").main
    (op,), (was,) = changed.operators, before.operators
    assert changed.tensors[op.inputs[1]].quantization == before.tensors[was.inputs[1]].quantization
    assert [t.name for t in changed.tensors] == [t.name for t in before.tensors]


def test_weights_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(in_blocks().build())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.agrees, (found.rows, found.observation)
    assert [row.observed for row in found.rows if row.observed and "GEMM" in row.observed] == [
        "Fully Connected (NC, QD8, F32, QB4W) GEMM"
    ]
