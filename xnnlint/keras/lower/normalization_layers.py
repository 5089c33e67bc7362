"""Layers that normalize or scale, by what was learnt or by the value itself, as the converter leaves them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.layer_scope import Scope, axis_of, shape_of
from xnnlint.keras.lower.program import Constant, Shape, Value, broadcast, elements
from xnnlint.keras.lower.registry import layer
from xnnlint.keras.lower.shape_layers import reduce
from xnnlint.keras.lower.weighted_layers import RELU_FREE, reshaped

# `_fused_can_be_used` of tf_keras/layers/normalization/layer_normalization.py.
_SMALLEST_FUSED_EPSILON = 1.001e-5
# More would be made room for by a number in a file.
_MOST_ROWS = 1 << 28
_BATCH_NORMALIZATIONS = (
    "BatchNormalization",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
)
# What reads the moving mean, the moving variance, gamma and beta.
_STATISTICS = {
    "fused": (
        "FusedBatchNormV3/ReadVariableOp",
        "FusedBatchNormV3/ReadVariableOp_1",
        "ReadVariableOp",
        "ReadVariableOp_1",
    ),
    "plain": (
        "batchnorm/ReadVariableOp_1",
        "batchnorm/ReadVariableOp",
        "batchnorm/mul/ReadVariableOp",
        "batchnorm/ReadVariableOp_2",
    ),
    "keras3": tuple(f"Cast{number}/ReadVariableOp" for number in ("", "_1", "_2", "_3")),
}


@layer(*_BATCH_NORMALIZATIONS, same_in_training=False)
def batch_normalization(scope: Scope, x: Value) -> Value:
    """BatchNormalization in inference: one MUL and one ADD with constants."""
    config = scope.config
    shape = shape_of(x)
    axis = axis_of(config.wholes("axis", default=-1, count=1)[0], len(shape))
    fused = len(shape) == 4 and axis == 3 and not scope.is_keras_3
    readers = _STATISTICS["keras3" if scope.is_keras_3 else "fused" if fused else "plain"]
    wanted = {"gamma": config.flag("scale", default=True), "beta": config.flag("center", default=True)}
    mean, variance, gamma, beta = (
        scope.weight(name, (shape[axis],), reader, default=float(name in ("gamma", "moving_variance")))
        if wanted.get(name, True)
        else None
        for name, reader in zip(("moving_mean", "moving_variance", "gamma", "beta"), readers, strict=True)
    )
    assert mean is not None and variance is not None
    scale, offset = _normalizing(scope, mean, variance, gamma, beta, config.real("epsilon", default=1e-3))
    if len(shape) == 4 and axis == 1 and not scope.is_keras_3:
        return _normalize_channels_first(scope, x, scale, offset)
    if axis != len(shape) - 1:
        spread = tuple(int(shape[d] or 1) if d == axis else 1 for d in range(len(shape)))
        scale, offset = (reshaped(v, spread) for v in (scale, offset))
    step = scope.step("FusedBatchNormV3") if fused else None
    y = scope.op("MUL", [x, scale], shape, step or "batchnorm/mul_1", dict(RELU_FREE))
    return scope.op("ADD", [y, offset], shape, step or "batchnorm/add_1", dict(RELU_FREE))


def _normalize_channels_first(scope: Scope, x: Value, scale: Value, offset: Value) -> Value:
    """Keras 2 has the fused operation do it, which TFLite knows along the last axis only."""
    step = scope.step("FusedBatchNormV3")
    batch, channels, height, width = shape_of(x)
    last = (batch, height, width, channels)
    y = scope.op("TRANSPOSE", [x, scope.integers([0, 2, 3, 1], "FusedBatchNormV3/perm")], last, step)
    y = scope.op("MUL", [y, scale], last, step, dict(RELU_FREE))
    y = scope.op("ADD", [y, offset], last, step, dict(RELU_FREE))
    return scope.op("TRANSPOSE", [y, scope.integers([0, 3, 1, 2], "FusedBatchNormV3/back")], x.shape, step)


def _normalizing(
    scope: Scope, mean: Value, variance: Value, gamma: Value | None, beta: Value | None, epsilon: float
) -> tuple[Value, Value]:
    """Scale and offset that stand for a batch normalization's four vectors."""
    vectors = {"v": variance, "g": gamma, "m": mean, "b": beta}
    by_name = {n: v.constant for n, v in vectors.items() if v is not None and v.constant is not None}

    def factor(values: np.ndarray) -> np.ndarray:
        result = (1 / np.sqrt(values + np.float32(epsilon))).astype(np.float32)
        return result * by_name["g"].array if "g" in by_name else result

    scale = by_name["v"].derive(("scale", epsilon), factor, [by_name["g"]] if "g" in by_name else [])

    def shift(values: np.ndarray) -> np.ndarray:
        return np.asarray((by_name["b"].array if "b" in by_name else np.float32(0)) - values * scale.array)

    offset = by_name["m"].derive("offset", shift, [scale, *([by_name["b"]] if "b" in by_name else [])])
    return (
        Value(mean.shape, "FLOAT32", scale, name=scope.prefix),
        Value(mean.shape, "FLOAT32", offset, name=scope.prefix),
    )


@layer("UnitNormalization")
def unit_normalization(scope: Scope, x: Value) -> Value:
    """UnitNormalization: x by its length along some axes; `_normalize` of keras/src/ops/nn.py in Keras 3."""
    axes = scope.config.wholes("axis", default=-1)
    return normalized(scope, x, axes) if scope.is_keras_3 else l2_normalize(scope, x, axes)


def normalized(scope: Scope, x: Value, axes: int | list[int]) -> Value:
    """`normalize` of order 2 of keras/src/ops/nn.py."""
    total = reduce(scope, scope.op("SQUARE", [x], x.shape, "Square"), "SUM", axes, True, "Sum")
    inverse = scope.op("RSQRT", [total], total.shape, "Rsqrt")
    inverse = scope.op("MINIMUM", [inverse, scope.constant(1e12, "Minimum/y")], total.shape, "Minimum")
    return scope.op("MUL", [x, inverse], x.shape, "mul", dict(RELU_FREE))


def l2_normalize(scope: Scope, x: Value, axes: list[int]) -> Value:
    """tf.math.l2_normalize, which the converter knows along the last axis (L2NormalizePattern)."""
    shape = shape_of(x)
    gone = [axis_of(a, len(shape)) for a in axes]
    at = scope.inner_name("l2_normalize")
    if gone == [len(shape) - 1]:
        return scope.op("L2_NORMALIZATION", [x], shape, at, dict(RELU_FREE))
    square = scope.op("SQUARE", [x], shape, f"{at}/Square")
    total = reduce(scope, square, "SUM", axes, True, f"{at}/Sum")
    least = scope.op("MAXIMUM", [total, scope.constant(1e-12, f"{at}/Maximum/y")], total.shape, f"{at}/Maximum")
    inverse = scope.op("RSQRT", [least], total.shape, f"{at}/Rsqrt")
    return scope.op("MUL", [x, inverse], shape, at, dict(RELU_FREE))


@layer("Rescaling")
def rescaling(scope: Scope, x: Value) -> Value:
    """Rescaling: x * scale + offset."""
    y = x
    for type_, option, at, default in (("MUL", "scale", "Cast/x", 1.0), ("ADD", "offset", "Cast_1/x", 0.0)):
        other = scope.constant(scope.config.array(option, default=default), at)
        y = scope.op(type_, [y, other], broadcast(y.shape, other.shape), type_.lower(), dict(RELU_FREE))
    return y


@layer("RMSNormalization")
def rms_normalization(scope: Scope, x: Value) -> Value:
    """RMSNormalization: x by the root of its mean square, times a scale."""
    config, shape = scope.config, shape_of(x)
    axes = sorted(axis_of(a, len(shape)) for a in config.wholes("axis", default=-1))
    if axes != [len(shape) - 1]:
        raise NotSupported("it normalizes along other axes than the last one")
    mean = reduce(scope, scope.op("SQUARE", [x], shape, "Square"), "MEAN", [-1], True, "Mean")
    epsilon = scope.constant(config.real("epsilon", default=1e-6), "add/y")
    inverse = scope.op("ADD", [mean, epsilon], mean.shape, "add", dict(RELU_FREE))
    y = scope.op("MUL", [x, scope.op("RSQRT", [inverse], mean.shape, "Rsqrt")], shape, "mul", dict(RELU_FREE))
    scale = scope.weight("scale", (shape[-1],), "mul_1/ReadVariableOp", default=1.0)
    return scope.op("MUL", [y, scale], shape, "mul_1", dict(RELU_FREE))


@layer("LayerScale")
def layer_scale(scope: Scope, x: Value) -> Value:
    """LayerScale of keras/src/applications/convnext.py: x * gamma; archives of Keras 2 do not name the variable."""
    if not scope.layer.module.endswith(".applications.convnext"):
        raise NotSupported("it is a custom layer LayerScale")
    size = scope.config.whole("projection_dim", least=0)
    names = list(scope.layer.weights)
    gamma = scope.weight(names[0] if len(names) == 1 else "gamma", (size,), "mul/ReadVariableOp")
    return scope.op("MUL", [x, gamma], broadcast(x.shape, gamma.shape), "mul", dict(RELU_FREE))


@layer("Normalization")
def normalization(scope: Scope, x: Value) -> Value:
    """Normalization: (x - mean) / max(sqrt(variance), 1e-7), with statistics that do not change."""
    config = scope.config
    shape = shape_of(x)
    if config.flag("invert"):
        raise NotSupported("it is inverted")
    # None, which means one mean for all, is a value here.
    axes = [] if config.values.get("axis", -1) is None else config.wholes("axis", default=-1)
    kept = {axis_of(a, len(shape)) for a in axes}
    spread = tuple(int(n or 1) if d in kept else 1 for d, n in enumerate(shape))
    flat = tuple(n for d, n in enumerate(shape) if d in kept)
    if config.given("mean") is not None:
        mean, variance = (scope.constant(config.array(n), at) for n, at in (("mean", "sub/y"), ("variance", "Sqrt/x")))
    else:
        mean = scope.weight("mean", flat, "sub/y")
        variance = scope.weight("variance", flat, "Sqrt/x", default=1.0)
    assert mean.constant is not None and variance.constant is not None
    count = math.prod(spread)
    if any(elements(v.shape or ()) not in (1, count) for v in (mean, variance)):
        raise NotSupported(f"its statistics do not fit its input of the shape {list(shape)}")

    def spread_out(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, np.float32).reshape(-1), (count,)).reshape(spread)

    centre = mean.constant.derive(("spread", spread), spread_out)
    deviation = variance.constant.derive(
        ("deviation", spread), lambda v: np.maximum(np.sqrt(spread_out(v)), np.float32(1e-7))
    )
    y = scope.op("SUB", [x, Value(spread, "FLOAT32", centre)], shape, "sub", dict(RELU_FREE))
    return scope.op("DIV", [y, Value(spread, "FLOAT32", deviation)], shape, "truediv", dict(RELU_FREE))


def _normalized_rows(scope: Scope, x: Value, rank: int, channels: int) -> tuple[Value, Value, Value, Value, int | None]:
    """For LayerNormalization: the input's shape, that of its rows, a scale and an offset for each, how many rows."""
    shape = shape_of(x)
    count = elements(shape[:-1])
    if count is not None:
        if not 0 <= count <= _MOST_ROWS:
            raise NotSupported(f"it normalizes {count:,} rows")
        ones, zeros = (
            Value((count,), "FLOAT32", Constant(partial(np.full, count, n, np.float32), (at, count)))
            for n, at in ((1.0, "ones"), (0.0, "zeros"))
        )
        target = scope.integers([1, count, channels, 1], "Reshape/shape")
        return scope.integers(shape, "Shape"), target, ones, zeros, count
    ints: dict[str, Any] = {"dtype": "INT32"}
    whole = scope.op("SHAPE", [x], (rank,), "Shape", {"out_type": "INT32"}, **ints)
    cut = [scope.integers([n], f"strided_slice/stack_{i}") for i, n in enumerate((0, rank - 1, 1))]
    front = scope.op("STRIDED_SLICE", [whole, *cut], (rank - 1,), "strided_slice", {"begin_mask": 1}, **ints)
    zero = scope.integers([0], "Const")
    rows = scope.op("REDUCE_PROD", [front, zero], (), "Prod", {"keep_dims": False}, **ints)
    # Known beforehand, and computed nevertheless, which moves what follows in the file.
    cut = [scope.integers([n], f"strided_slice_1/stack_{i}") for i, n in enumerate((rank - 1, 0, 1))]
    back = scope.op("STRIDED_SLICE", [whole, *cut], (1,), "strided_slice_1", {"end_mask": 1}, **ints)
    columns = scope.op("REDUCE_PROD", [back, zero], (), "Prod_1", {"keep_dims": False}, **ints)
    one = scope.integers(1, "Reshape/shape/0")
    packing = {"values_count": 4, "axis": 0}
    target = scope.op("PACK", [one, rows, columns, one], (4,), "Reshape/shape", packing, **ints)
    filled = []
    for n, at in ((1.0, "ones"), (0.0, "zeros")):
        size = scope.op("RESHAPE", [rows, scope.integers([1], f"{at}/packed/shape")], (1,), f"{at}/packed", **ints)
        filled.append(scope.op("FILL", [size, scope.constant(n, f"{at}/Const")], (None,), at))
    return whole, target, filled[0], filled[1], None


@layer("LayerNormalization")
def layer_normalization(scope: Scope, x: Value) -> Value:
    """LayerNormalization over the last axis."""
    config, shape = scope.config, shape_of(x)
    if [axis_of(a, len(shape)) for a in config.wholes("axis", default=-1)] != [len(shape) - 1]:
        raise NotSupported("it is a LayerNormalization over other axes than the last one")
    return _layer_normalization_3(scope, x) if scope.is_keras_3 else _layer_normalization_2(scope, x)


def _layer_normalization_3(scope: Scope, x: Value) -> Value:
    """`layer_normalization` of keras/backend/tensorflow: x * factor + (beta - mean * factor)."""
    config, shape = scope.config, shape_of(x)
    channels, rows, plain = shape[-1], (*shape[:-1], 1), dict(RELU_FREE)
    if config.flag("rms_scaling"):
        raise NotSupported("it scales by the root mean square")
    mean = reduce(scope, x, "MEAN", [-1], True, "moments/mean")
    squares = scope.op("SQUARED_DIFFERENCE", [x, mean], shape, "moments/SquaredDifference")
    variance = reduce(scope, squares, "MEAN", [-1], True, "moments/variance")
    epsilon = scope.constant(config.real("epsilon", default=1e-3), "add/y")
    factor = scope.op("RSQRT", [scope.op("ADD", [variance, epsilon], rows, "add", plain)], rows, "Rsqrt")
    wide = (*(1 for _ in shape[1:]), int(channels or 0))
    if config.flag("scale", default=True):
        gamma = reshaped(scope.weight("gamma", (channels,), "Reshape/ReadVariableOp", default=1.0), wide)
        factor = scope.op("MUL", [factor, gamma], shape, "mul", dict(plain))
    less = scope.op("MUL", [scope.op("NEG", [mean], rows, "Neg"), factor], factor.shape, "mul_1", dict(plain))
    if config.flag("center", default=True):
        beta = reshaped(scope.weight("beta", (channels,), "Reshape_1/ReadVariableOp"), wide)
        less = scope.op("ADD", [less, beta], shape, "add_1", dict(plain))
    y = scope.op("MUL", [x, factor], shape, "mul_2", dict(plain))
    return scope.op("ADD", [y, less], shape, "add_2", dict(plain))


def _layer_normalization_by_moments(scope: Scope, x: Value) -> Value:
    """Of Keras 2 with a small epsilon: tf.nn.moments and tf.nn.batch_normalization."""
    config, shape = scope.config, shape_of(x)
    axis, rows, plain = len(shape) - 1, (*shape[:-1], 1), dict(RELU_FREE)
    mean = reduce(scope, x, "MEAN", [axis], True, "moments/mean")
    squares = scope.op("SQUARED_DIFFERENCE", [x, mean], shape, "moments/SquaredDifference")
    variance = reduce(scope, squares, "MEAN", [axis], True, "moments/variance")
    epsilon = scope.constant(config.real("epsilon", default=1e-3), "batchnorm/add/y")
    factor = scope.op("ADD", [variance, epsilon], rows, "batchnorm/add", dict(plain))
    factor = scope.op("RSQRT", [factor], rows, "batchnorm/Rsqrt")
    if config.flag("scale", default=True):
        gamma = scope.weight("gamma", (shape[-1],), "batchnorm/mul/ReadVariableOp", default=1.0)
        factor = scope.op("MUL", [factor, gamma], shape, "batchnorm/mul", dict(plain))
    y = scope.op("MUL", [x, factor], shape, "batchnorm/mul_1", dict(plain))
    centred = config.flag("center", default=True)
    if not centred:
        mean = scope.op("NEG", [mean], rows, "batchnorm/Neg")
    less = scope.op("MUL", [mean, factor], factor.shape, "batchnorm/mul_2", dict(plain))
    if centred:
        beta = scope.weight("beta", (shape[-1],), "batchnorm/ReadVariableOp")
        less = scope.op("SUB", [beta, less], shape, "batchnorm/sub", dict(plain))
    return scope.op("ADD", [y, less], shape, "batchnorm/add_1", dict(plain))


def _layer_normalization_2(scope: Scope, x: Value) -> Value:
    """Of Keras 2: a batch norm of the transposed map, with computed shapes."""
    config, shape = scope.config, shape_of(x)
    rank, channels = len(shape), shape[-1]
    if channels is None:
        raise NotSupported("its number of channels is unknown")
    if config.real("epsilon", default=1e-3) < _SMALLEST_FUSED_EPSILON:
        return _layer_normalization_by_moments(scope, x)
    whole, target, ones, zeros, rows = _normalized_rows(scope, x, rank, channels)
    y = scope.op("RESHAPE", [x, target], (1, rows, channels, 1), "Reshape")
    step = scope.step("FusedBatchNormV3")

    def add(type_: str, inputs: list[Value], out: Shape, attributes: dict[str, Any] | None = None) -> Value:
        return scope.op(type_, inputs, out, step, dict(RELU_FREE) if attributes is None else attributes)

    last = (1, channels, 1, rows)
    axes_ = scope.integers([0, 1, 2], "FusedBatchNormV3/axes")
    y = add("TRANSPOSE", [y, scope.integers([0, 2, 3, 1], "FusedBatchNormV3/perm")], last, {})
    mean = add("MEAN", [y, axes_], (rows,), {"keep_dims": False})
    spread = add("MEAN", [add("SQUARED_DIFFERENCE", [y, mean], last, {}), axes_], (rows,), {"keep_dims": False})
    epsilon = scope.constant(config.real("epsilon", default=1e-3), "FusedBatchNormV3/epsilon")
    factor = add("MUL", [ones, add("RSQRT", [add("ADD", [spread, epsilon], (rows,))], (rows,), {})], (rows,))
    scaled = add("MUL", [y, factor], last)
    shift = add("SUB", [zeros, add("MUL", [mean, factor], (rows,))], (rows,))
    y = add("ADD", [scaled, shift], last)
    y = add("TRANSPOSE", [y, scope.integers([0, 3, 1, 2], "FusedBatchNormV3/back")], (1, rows, channels, 1), {})
    y = scope.op("RESHAPE", [y, whole], shape, "Reshape_1")
    for type_, name, wanted, default in (("MUL", "gamma", "scale", 1.0), ("ADD", "beta", "center", 0.0)):
        if config.flag(wanted, default=True):
            at = type_.lower()
            other = scope.weight(name, (channels,), f"{at}/ReadVariableOp", default=default)
            y = scope.op(type_, [y, other], shape, at, dict(RELU_FREE))
    return y
