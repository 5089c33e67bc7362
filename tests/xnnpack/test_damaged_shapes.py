"""Files that fuzzing made, of which a plan must be made nevertheless: LiteRT judges what comes of them."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.fixes.check_fixes import add_fixes
from xnnlint.fixes.tflite import object_api
from xnnlint.linter.engine import check_model
from xnnlint.loaders import load
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import enum_value, table
from xnnlint.runtime.observe import observe
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile


def _cluster(g: ModelBuilder) -> Value:
    x = g.conv2d(g.pad(g.input((1, 16, 16, 3))), 8, 3, 2, fused="RELU")
    return g.conv2d(x, 8, zeros=0.9, storage="sparse", fused="RELU")


def _layer_of_no_shape(g: ModelBuilder) -> None:
    y = g.fully_connected(g.mean(_cluster(g)), 10)
    g.tensors[y.id].shape = ()
    g.output(y)


def _axes(*axes: int, storage: str = "sparse") -> bytes:
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 16, 16, 3))), 8, 3, 2, fused="RELU")
    g.output(g.mean(g.conv2d(x, 8, zeros=0.9, storage=storage), axes))
    return g.build()


def _pool(code: str, g: ModelBuilder, x: Value) -> None:
    g.op(code, [x], [x.shape])


# An operator behind the cluster, the table of its options, and what these are if nothing is wrong with them.
_WINDOWS = {
    "CONV_2D": (lambda g, x: g.conv2d(x, 8, 3), "Conv2DOptions", ("stride", "dilation")),
    "DEPTHWISE_CONV_2D": (lambda g, x: g.depthwise(x, 3), "DepthwiseConv2DOptions", ("stride", "dilation")),
    "AVERAGE_POOL_2D": (partial(_pool, "AVERAGE_POOL_2D"), "Pool2DOptions", ("stride",)),
    "MAX_POOL_2D": (partial(_pool, "MAX_POOL_2D"), "Pool2DOptions", ("stride",)),
    "L2_POOL_2D": (partial(_pool, "L2_POOL_2D"), "Pool2DOptions", ("stride",)),
    "TRANSPOSE_CONV": (lambda g, x: g.transpose_conv(x, 8, 2), "TransposeConvOptions", ("stride",)),
}
_FIELDS = {
    "stride": ("stride_w", "stride_h"),
    "dilation": ("dilation_w_factor", "dilation_h_factor"),
    "filter": ("filter_width", "filter_height"),
}


def _window(code: str, field: str, value: int, padding: str) -> bytes:
    make, options, kinds = _WINDOWS[code]
    kinds = (*kinds, "filter") if "POOL" in code else kinds
    fields = {name: 2 if kind == "filter" else 1 for kind in kinds for name in _FIELDS[kind]}
    fields["padding"] = enum_value("Padding", padding)
    if code == "DEPTHWISE_CONV_2D":
        fields["depth_multiplier"] = 1
    g = ModelBuilder()
    x = _cluster(g)
    make(g, x)
    g.operators[-1].options = table(options, **{**fields, field: value})
    g.output(g.mean(Value(g.operators[-1].outputs[0], x.shape)))
    return g.build()


def _half_weight(storage: str, *, is_read: bool) -> bytes:
    g = ModelBuilder()
    x, weight = _cluster(g), g.weight((8, 1, 1, 8), 8, 0.9, storage)
    if is_read:
        options = {"padding": 0, "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}
        (x,) = g.op("CONV_2D", [x, weight, g.bias(8)], [x.shape], table("Conv2DOptions", **options))
    g.output(g.mean(x), weight)
    return g.build()


@cache
def _damaged() -> dict[str, tuple[bytes, str]]:
    g = ModelBuilder()
    _layer_of_no_shape(g)
    found = {"a fully-connected layer of no shape": (g.build(), "sparse")}
    g = ModelBuilder()
    g.output(g.mean(_cluster(g)), g.weight((8, 1, 1, 8), 8, 0.9, "sparse"))
    found["unpacked weights that are an output"] = (g.build(), "wrong-results")
    g = ModelBuilder()
    y = g.depth_to_space(_cluster(g), 2)
    g.tensors[y.id].shape = ()
    g.output(y)
    found["a DEPTH_TO_SPACE of no shape"] = (g.build(), "sparse")
    g = ModelBuilder()
    y = g.unary("RELU", g.binary("MINIMUM", _cluster(g), g.constant(4.0)))
    g.tensors[y.id].shape = ()
    g.output(g.mean(g.conv2d(y, 8, zeros=0.9, storage="sparse")))
    found["an activation of no shape"] = (g.build(), "sparse")
    for shape in ((1, 1, 10, 10, 8), (10, 10, 8)):
        g = ModelBuilder()
        y = g.pad(_cluster(g))
        g.tensors[y.id].shape = shape
        g.output(y)
        found[f"a PAD to {len(shape)} dimensions"] = (g.build(), "dense")
    for storage in ("fp16", "sparse_fp16"):
        found[f"an unread weight that is an output, {storage}"] = (_half_weight(storage, is_read=False), "fails")
        found[f"a weight that is an output, {storage}"] = (_half_weight(storage, is_read=True), "wrong-results")
    for code, (_, _, kinds) in _WINDOWS.items():
        for field in (name for kind in kinds for name in _FIELDS[kind]):
            for value, padding in ((0, "SAME"), (-1, "VALID")):
                found[f"{code} with {field} {value}, {padding}"] = (_window(code, field, value, padding), "fails")
    found["TRANSPOSE_CONV with stride_w 0, VALID"] = (_window("TRANSPOSE_CONV", "stride_w", 0, "VALID"), "fails")
    for axes in ((1, 4), (1, 2, 4), (1, -5), (1_058_726_785, 2)):
        for storage in ("sparse", "dense", "int8_direct"):
            found[f"axes {axes}, stored {storage}"] = (_axes(*axes, storage=storage), "fails")
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("damaged")
    paths = {name: folder / f"{number}.tflite" for number, name in enumerate(_damaged())}
    for name, path in paths.items():
        path.write_bytes(_damaged()[name][0])
    return paths


@pytest.mark.parametrize("name", _damaged())
def test_it_is_planned(name: str, files: dict[str, Path]) -> None:
    profile = load_profile("litert-2.3", "x86-sse")
    assert make_plan(load(files[name]), profile).outcome.value == _damaged()[name][1]
    assert check_model(files[name], profile).error is None


@pytest.mark.judge
def test_it_is_what_the_runtime_does(files: dict[str, Path]) -> None:
    seen = observe(list(files.values()), cpu="x86-sse", seeds=(0,))
    outcomes = {name: found.outcome for name, found in zip(files, seen, strict=True)}
    assert outcomes == {name: outcome for name, (_, outcome) in _damaged().items()}


def test_a_variable_that_only_the_partition_assigns(tmp_path: Path) -> None:
    """Its values were read by an operator whose code is damaged, which no runtime has."""
    file = object_api.read((FIXTURES / "cases" / "var_B.tflite").read_bytes())
    for code in file.operatorCodes:
        if code.builtinCode == object_api.number("BuiltinOperator", "READ_VARIABLE"):
            code.builtinCode = object_api.number("BuiltinOperator", "PLACEHOLDER_FOR_GREATER_OP_CODES")
    damaged = tmp_path / "model.tflite"
    damaged.write_bytes(object_api.write(file, identifier=True))
    report = check_model(damaged, load_profile("litert-2.3", "arm64"))
    assert report.error is None and report.outcome is Outcome.FAILS


@pytest.mark.parametrize("operator", ["MINIMUM", "MUL"])
def test_a_scalar_whose_value_is_in_another_file(operator: str, tmp_path: Path) -> None:
    """The sum over it is no mean that could be told, and the limit no clamp."""
    g = ModelBuilder()
    total = g.reduce("SUM", _cluster(g), (1, 2), keep_dims=True)
    g.output(g.binary(operator, total, g.constant(np.float32(6.0), "limit")))
    file = object_api.read(g.build())
    (limit,) = (tensor for tensor in file.subgraphs[0].tensors if tensor.name == b"limit")
    limit.buffer, limit.externalBuffer = 0, 1
    path = tmp_path / "model.tflite"
    path.write_bytes(object_api.write(file, identifier=True))
    report = check_model(path, load_profile("litert-2.3", "arm64"))
    assert report.error is None
    assert "in other files" in report.plan.model.notes[0]


@pytest.mark.parametrize("field", ["stride_w", "stride_h", "dilation_w_factor"])
def test_fixes_leave_windows_without_a_size_alone(field: str, tmp_path: Path) -> None:
    sizes = {"stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1, "depth_multiplier": 1}
    g = ModelBuilder()
    x = g.depthwise(_cluster(g), 3, dilation=2)
    g.operators[-1].options = table("DepthwiseConv2DOptions", **{**sizes, field: 0})
    g.output(g.mean(g.conv2d(x, 8, zeros=0.9, storage="sparse")))
    path = tmp_path / "model.tflite"
    path.write_bytes(g.build())
    profile = load_profile("litert-2.3", "x86-sse")
    report = check_model(path, profile)
    assert report.error is None
    add_fixes(report, profile)
    assert report.fixes is None or not report.fixes.safe
