"""Small graphs, one per condition of the delegate: what is refused and why, what is taken, what can't be defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import Table, table

Fill = Callable[[ModelBuilder, Value], Value]

TANH, SIGN_BIT = 4, 5  # ActivationFunctionType of the schema
SCALE = 0.05


@dataclass(frozen=True)
class Case:
    """A graph between two RELU, so that a refused operator leaves a partition on both sides.

    Attributes:
        refused: operator type -> condition of the rejection; all other operators are delegated.
        fails: part of the reason why loading fails, "" where it succeeds.
        runs: whether the runtime can run it at all; where not, only the model is asked.
    """

    name: str
    fill: Fill
    refused: dict[str, str]
    fails: str = ""
    runs: bool = True

    def build(self) -> bytes:
        g = ModelBuilder(7)
        x = g.unary("RELU", g.input((1, 8, 12, 6)))
        y = self.fill(g, x)
        g.output(y if y.dtype != "float32" else g.unary("ABS", y))
        return g.build()


CASES: list[Case] = []


def taken(name: str, fill: Fill) -> None:
    CASES.append(Case(name, fill, {}))


def refused(name: str, condition: str, fill: Fill, *others: tuple[str, str], runs: bool = True) -> None:
    """`name` begins with the operator's type."""
    CASES.append(Case(name, fill, {name.split(":")[0]: condition, **dict(others)}, runs=runs))


def fails(name: str, reason: str, fill: Fill) -> None:
    CASES.append(Case(name, fill, {}, fails=reason))


# -- helpers -------------------------------------------------------------------------------------------------------


def ints(g: ModelBuilder, *values: int) -> Value:
    return g.constant(np.array(values, np.int32))


def given(g: ModelBuilder, *shape: int, dtype: str = "int32") -> Value:
    """A parameter that the model's user hands in."""
    return g.input(shape, "parameter", dtype=dtype)


def int8(g: ModelBuilder, x: Value) -> Value:
    return g.quantize(x, SCALE, 3)


def q8(
    g: ModelBuilder,
    code: str,
    inputs: list[Value],
    options: Table | None = None,
    scale: float = SCALE,
    shape: tuple[int, ...] = (),
    version: int = 2,
    zero_point: int = 3,
) -> Value:
    """An operator with an int8 output, then DEQUANTIZE."""
    encoding = {"dtype": "int8", "scale": scale, "zero_point": zero_point}
    y = g.op(code, inputs, [shape or inputs[0].shape], options, version=version, **encoding)[0]
    return g.dequantize(y)


def integer_weights(g: ModelBuilder, shape: tuple[int, ...], scales: int = 1, zero_point: int = 0) -> Value:
    """A plain int8 weight with one scale or one for each output channel."""
    data = g.rng.integers(-90, 90, shape).astype(np.int8)
    parameters = table(
        "QuantizationParameters",
        scale=np.linspace(0.01, 0.02, scales).astype(np.float32),
        zero_point=np.full(scales, zero_point, np.int64),
    )
    return g._value(shape, g._unique("kernel"), data=data, dtype="int8", quantization=parameters, scale=0.01)


def integer_bias(g: ModelBuilder, channels: int, scales: int = 1) -> Value:
    parameters = table(
        "QuantizationParameters",
        scale=np.full(scales, 0.01 * SCALE, np.float32),
        zero_point=np.zeros(scales, np.int64),
    )
    data = np.arange(channels).astype(np.int32)
    return g._value((channels,), g._unique("bias"), data=data, dtype="int32", quantization=parameters)


def conv_options(**changes: int) -> Table:
    options = {"stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1} | changes
    return table("Conv2DOptions", padding=1, **options)


def conv(g: ModelBuilder, x: Value, weights: Value | None = None, bias: Value | None = None, **changes: int) -> Value:
    """A 1x1 convolution to 4 channels with any tensors."""
    weights = weights or g.weight((4, 1, 1, x.shape[3]), x.shape[3])
    bias = bias or g.bias(4)
    return g.op("CONV_2D", [x, weights, bias], [(*x.shape[:3], 4)], conv_options(**changes), version=5)[0]


def matmul(g: ModelBuilder, a: Value, b: Value, adj_x: bool = False, adj_y: bool = False) -> Value:
    rows, columns = a.shape[-1 if adj_x else -2], b.shape[-2 if adj_y else -1]
    options = table("BatchMatMulOptions", adj_x=adj_x, adj_y=adj_y)
    return g.op("BATCH_MATMUL", [a, b], [(*a.shape[:-2], rows, columns)], options, version=4)[0]


# -- operators that the delegate doesn't know ----------------------------------------------------------------------

refused("SQUEEZE", "operator-type", lambda g, x: g.squeeze(x, (0,)))
refused("EXPAND_DIMS", "operator-type", lambda g, x: g.expand_dims(x, 0))
refused("POW", "operator-type", lambda g, x: g.binary("POW", x, x))
refused("PADV2", "operator-type", lambda g, x: g.pad(x, code="PADV2"))
refused("MIRROR_PAD", "operator-type", lambda g, x: g.pad(x, code="MIRROR_PAD"))
refused(
    "RESIZE_NEAREST_NEIGHBOR",
    "operator-type",
    lambda g, x: g.resize_bilinear(x, 5, 7, code="RESIZE_NEAREST_NEIGHBOR", half_pixel=False),
)
refused("REDUCE_PROD", "operator-type", lambda g, x: g.reduce("REDUCE_PROD", x, (1, 2)))
refused(
    "L2_NORMALIZATION",
    "operator-type",
    lambda g, x: g.op("L2_NORMALIZATION", [x], [x.shape], table("L2NormOptions"))[0],
)
refused("RELU_0_TO_1", "operator-type", lambda g, x: g.unary("RELU_0_TO_1", x))
refused("FLOOR_DIV", "operator-type", lambda g, x: g.binary("FLOOR_DIV", x, g.constant(0.3)))
refused("TILE", "operator-type", lambda g, x: g.op("TILE", [x, ints(g, 1, 1, 2, 1)], [(1, 8, 24, 6)])[0])
refused(
    "GATHER",
    "operator-type",
    lambda g, x: g.op("GATHER", [x, ints(g, 0, 2)], [(1, 8, 12, 2)], table("GatherOptions", axis=3))[0],
)
refused("Mystery", "operator-type", lambda g, x: g.custom_op("Mystery", [x], [x.shape])[0], runs=False)

# -- unary and binary ----------------------------------------------------------------------------------------------

for _code in (
    *(
        "ABS",
        "CEIL",
        "COS",
        "ELU",
        "EXP",
        "FLOOR",
        "GELU",
        "HARD_SWISH",
        "LOGISTIC",
        "NEG",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
    ),
    *("ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH", "LOG"),
):
    taken(_code, lambda g, x, code=_code: g.unary(code, x))
taken("GELU:approximate", lambda g, x: g.unary("GELU", x, approximate=True))
taken("LEAKY_RELU", lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.2))
refused("LEAKY_RELU:alpha 0", "alpha", lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.0))
for _code in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
    taken(_code, lambda g, x, code=_code: g.binary(code, x, g.random_constant((6,))))
for _code in ("ADD", "SUB", "MUL", "DIV"):
    taken(f"{_code}:RELU6", lambda g, x, code=_code: g.binary(code, x, g.random_constant((6,)), fused="RELU6"))
taken("ADD:scalar", lambda g, x: g.binary("ADD", x, g.constant(1.5)))
taken("ADD:rank 5", lambda g, x: g.binary("ADD", x, g.random_constant((3, 1, 1, 1, 6))))


def _add_integers(g: ModelBuilder, x: Value) -> Value:
    g.output(x)
    return g.op("ADD", [given(g, 3), given(g, 3)], [(3,)], table("AddOptions"), dtype="int32")[0]


refused("ADD:int32", "dtype", _add_integers)
taken("PRELU", lambda g, x: g.prelu(x))
refused("PRELU:slope given", "slope", lambda g, x: g.prelu(x, given(g, 6, dtype="float32")))
taken("PRELU:fp16 slope", lambda g, x: g.prelu(x, g.weight((1, 1, 6), 1, storage="fp16")))

# -- layers --------------------------------------------------------------------------------------------------------

taken("CONV_2D", lambda g, x: g.conv2d(x, 4, kernel=3, padding="SAME"))
taken("CONV_2D:groups", lambda g, x: g.conv2d(x, 4, kernel=3, groups=2))
taken("CONV_2D:dilation", lambda g, x: g.conv2d(x, 4, kernel=3, dilation=2))
taken(
    "CONV_2D:fp16 filter and bias",
    lambda g, x: conv(g, x, g.weight((4, 1, 1, 6), 6, storage="fp16"), g.weight((4,), 4, storage="fp16")),
)
taken("CONV_2D:fp16 filter", lambda g, x: conv(g, x, g.weight((4, 1, 1, 6), 6, storage="fp16")))
refused("CONV_2D:fp16 bias", "bias", lambda g, x: conv(g, x, bias=g.weight((4,), 4, storage="fp16")))
refused("CONV_2D:no bias", "inputs", lambda g, x: g.conv2d(x, 4, bias=False), runs=False)
refused("CONV_2D:filter given", "static-filter", lambda g, x: conv(g, x, given(g, 4, 1, 1, 6, dtype="float32")))
refused(
    "CONV_2D:filter computed",
    "static-filter",
    lambda g, x: conv(g, x, g.unary("NEG", given(g, 4, 1, 1, 6, dtype="float32"))),
)
refused("CONV_2D:bias given", "bias", lambda g, x: conv(g, x, bias=given(g, 4, dtype="float32")))
refused("CONV_2D:TANH", "fused-activation", lambda g, x: conv(g, x, fused_activation_function=TANH))
taken("DEPTHWISE_CONV_2D", lambda g, x: g.depthwise(x, 5, stride=2))
taken("DEPTHWISE_CONV_2D:multiplier", lambda g, x: g.depthwise(x, multiplier=2))
refused("DEPTHWISE_CONV_2D:TANH", "fused-activation", lambda g, x: g.depthwise(x, fused="TANH"))
refused("DEPTHWISE_CONV_2D:int8 filter", "dtype", lambda g, x: g.depthwise(x, storage="int8_direct"))
taken("FULLY_CONNECTED", lambda g, x: g.fully_connected(x, 4))
taken("FULLY_CONNECTED:keep_num_dims", lambda g, x: g.fully_connected(x, 4, keep_num_dims=True))
taken("FULLY_CONNECTED:no bias", lambda g, x: g.fully_connected(x, 4, bias=False))
taken("FULLY_CONNECTED:densify", lambda g, x: g.fully_connected(x, 4, zeros=0.8, storage="sparse"))
refused(
    "FULLY_CONNECTED:version 8",
    "sparse-fully-connected",
    lambda g, x: g.fully_connected(g.mean(x), 8, zeros=0.8, storage="sparse_direct"),
)


def _fully_connected_with(
    weights: Callable[[ModelBuilder], Value], bias: Callable[[ModelBuilder], Value] | None = None
) -> Fill:
    def fill(g: ModelBuilder, x: Value) -> Value:
        inputs = [x, weights(g), bias(g) if bias else g.bias(4)]
        return g.op("FULLY_CONNECTED", inputs, [(96, 4)], table("FullyConnectedOptions"), version=1)[0]

    return fill


refused(
    "FULLY_CONNECTED:weights given", "static-filter", _fully_connected_with(lambda g: given(g, 4, 6, dtype="float32"))
)
refused(
    "FULLY_CONNECTED:bias given",
    "bias",
    _fully_connected_with(lambda g: g.weight((4, 6), 6), lambda g: given(g, 4, dtype="float32")),
)
taken("TRANSPOSE_CONV", lambda g, x: g.transpose_conv(x, 4))


def _transpose_conv(g: ModelBuilder, x: Value, output_shape: Value, kernel: int = 2) -> Value:
    options = table("TransposeConvOptions", padding=0, stride_h=2, stride_w=2)
    inputs = [output_shape, g.weight((4, kernel, kernel, 6), 6), x, g.bias(4)]
    return g.op("TRANSPOSE_CONV", inputs, [(1, 16, 24, 4)], options, version=3)[0]


refused("TRANSPOSE_CONV:shape given", "shape-not-constant", lambda g, x: _transpose_conv(g, x, given(g, 4)), runs=False)
refused(
    "TRANSPOSE_CONV:kernel below stride", "padding", lambda g, x: _transpose_conv(g, x, ints(g, 1, 16, 24, 4), kernel=1)
)
taken("BATCH_MATMUL", lambda g, x: matmul(g, g.reshape(x, (1, 12, 48)), g.random_constant((1, 48, 5))))
taken("BATCH_MATMUL:computed", lambda g, x: matmul(g, x, g.unary("NEG", x), adj_y=True))
taken("BATCH_MATMUL:transposed", lambda g, x: matmul(g, x, g.unary("NEG", x), adj_x=True))
taken("AVERAGE_POOL_2D", lambda g, x: g.pool("AVERAGE_POOL_2D", x, 3, 2, padding="SAME", fused="RELU6"))
taken("AVERAGE_POOL_2D:1x1", lambda g, x: g.pool("AVERAGE_POOL_2D", x, 1))
taken("MAX_POOL_2D", lambda g, x: g.pool("MAX_POOL_2D", x, 3, 2))
refused("MAX_POOL_2D:stride above filter", "pool-stride", lambda g, x: g.pool("MAX_POOL_2D", x, 2, 3))
refused("AVERAGE_POOL_2D:stride above filter", "pool-stride", lambda g, x: g.pool("AVERAGE_POOL_2D", x, (2, 3), (3, 3)))
refused("MAX_POOL_2D:1x1 with stride 2", "pool-stride", lambda g, x: g.pool("MAX_POOL_2D", x, 1, 2))

# -- shapes --------------------------------------------------------------------------------------------------------

for _code in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
    taken(f"{_code}:keep_dims", lambda g, x, code=_code: g.reduce(code, x, (1, -2), True))
    taken(_code, lambda g, x, code=_code: g.reduce(code, x, (3,)))


def _mean_given(g: ModelBuilder, x: Value) -> Value:
    return g.op("MEAN", [x, given(g, 2)], [(1, 6)], table("ReducerOptions"))[0]


refused("MEAN:axes given", "axes-not-constant", _mean_given, runs=False)
taken("PAD", lambda g, x: g.pad(x, ((0, 0), (1, 2), (0, 0), (3, 0))))
refused("PAD:int64", "dtype", lambda g, x: g.pad(x, index_dtype="int64"))
refused(
    "PAD:paddings given",
    "paddings",
    lambda g, x: g.op("PAD", [x, given(g, 4, 2)], [x.shape], table("PadOptions"))[0],
    runs=False,
)
taken("RESHAPE", lambda g, x: g.reshape(x, (1, -1)))
taken("RESHAPE:to rank 6", lambda g, x: g.reshape(x, (1, 2, 4, 3, 4, 6)))
taken("RESHAPE:flat", lambda g, x: g.reshape(x, (576,)))
refused("RESHAPE:-1", "new-shape", lambda g, x: g.reshape(x, (-1,)))
refused(
    "RESHAPE:rank 7",
    "rank",
    lambda g, x: g.unary("FLOOR", g.reshape(x, (1, 2, 4, 3, 2, 2, 6))),
    ("FLOOR", "rank"),
    ("ABS", "rank"),
)
refused(
    "RESHAPE:shape given",
    "shape-not-constant",
    lambda g, x: g.op("RESHAPE", [x, given(g, 2)], [(96, 6)], table("ReshapeOptions"))[0],
    runs=False,
)
taken(
    "RESHAPE:options only",
    lambda g, x: g.op("RESHAPE", [x], [(96, 6)], table("ReshapeOptions", new_shape=np.array([96, -1], np.int32)))[0],
)


def _dynamic_reshape(g: ModelBuilder, x: Value) -> Value:
    shape = g.op("SHAPE", [x], [(4,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    options = table("StridedSliceOptions", shrink_axis_mask=1)
    bounds = [ints(g, 0), ints(g, 1), ints(g, 1)]
    batch = g.op("STRIDED_SLICE", [shape, *bounds], [()], options, dtype="int32")[0]
    rest = g.constant(np.array(576, np.int32))
    target = g.op("PACK", [batch, rest], [(2,)], table("PackOptions", values_count=2), dtype="int32")[0]
    return g.op("RESHAPE", [x, target], [(1, 576)], table("ReshapeOptions"))[0]


refused(
    "RESHAPE:computed shape",
    "shape-not-constant",
    _dynamic_reshape,
    ("SHAPE", "operator-type"),
    ("STRIDED_SLICE", "shrink-axis-mask"),
    ("PACK", "operator-type"),
)
taken("RESIZE_BILINEAR", lambda g, x: g.resize_bilinear(x, 5, 7))
refused(
    "RESIZE_BILINEAR:size given",
    "size-not-constant",
    lambda g, x: g.op("RESIZE_BILINEAR", [x, given(g, 2)], [(1, 5, 7, 6)], table("ResizeBilinearOptions"))[0],
    runs=False,
)
for _count in range(2, 6):
    taken(f"CONCATENATION:{_count}", lambda g, x, n=_count: g.concat([x] * n, axis=-1))
refused("CONCATENATION:6", "inputs", lambda g, x: g.concat([x] * 6))
taken("SLICE", lambda g, x: g.slice(x, (0, 1, 2, 0), (1, 3, 4, 6)))
refused("SLICE:size -1", "size", lambda g, x: g.slice(x, (0, 1, 2, 0), (1, -1, 4, 6)))
taken("STRIDED_SLICE", lambda g, x: g.strided_slice(x, (0, 1, 2, 0), (1, 3, 4, 6), (1, 1, 1, 1)))
refused("STRIDED_SLICE:stride 2", "strides", lambda g, x: g.strided_slice(x, (0, 1, 2, 0), (1, 3, 8, 6), (1, 1, 2, 1)))


def _masked_slice(shape: tuple[int, ...], **masks: int) -> Fill:
    def fill(g: ModelBuilder, x: Value) -> Value:
        bounds = [ints(g, 0, 1, 2, 0), ints(g, 1, 3, 8, 6), ints(g, 1, 1, 1, 1)]
        return g.op("STRIDED_SLICE", [x, *bounds], [shape], table("StridedSliceOptions", **masks))[0]

    return fill


taken("STRIDED_SLICE:begin and end masks", _masked_slice((1, 3, 10, 6), begin_mask=2, end_mask=4))
refused("STRIDED_SLICE:shrink", "shrink-axis-mask", _masked_slice((2, 6, 6), shrink_axis_mask=1))
taken("TRANSPOSE", lambda g, x: g.transpose(x, (0, 3, 1, 2)))
refused(
    "TRANSPOSE:permutation given",
    "permutation-not-constant",
    lambda g, x: g.op("TRANSPOSE", [x, given(g, 4)], [x.shape])[0],
    runs=False,
)
for _count in (2, 3):
    taken(f"SPLIT:{_count}", lambda g, x, n=_count: g.concat(g.split(x, n), axis=3))
refused("SPLIT:6", "outputs", lambda g, x: g.concat(g.split(x, 6)[:5], axis=3))
taken("SOFTMAX", lambda g, x: g.softmax(x))
refused("SOFTMAX:beta 2", "beta", lambda g, x: g.softmax(x, 2.0))
taken("DEPTH_TO_SPACE", lambda g, x: g.depth_to_space(g.conv2d(x, 8)))
taken("SPACE_TO_DEPTH", lambda g, x: g.space_to_depth(x))

# -- quantized -----------------------------------------------------------------------------------------------------

taken("QUANTIZE", lambda g, x: g.dequantize(int8(g, x)))
taken("QUANTIZE:requantize", lambda g, x: g.dequantize(g.quantize(int8(g, x), SCALE * 2)))
refused("QUANTIZE:ratio", "quantization", lambda g, x: g.dequantize(g.quantize(int8(g, x), SCALE * 1000)))
taken("ADD:int8", lambda g, x: q8(g, "ADD", [int8(g, x), int8(g, x)], table("AddOptions")))
taken("MUL:int8", lambda g, x: q8(g, "MUL", [int8(g, x), int8(g, x)], table("MulOptions", fused_activation_function=1)))
taken("SUB:int8", lambda g, x: q8(g, "SUB", [int8(g, x), int8(g, x)], table("SubOptions")))
refused("MAXIMUM:int8", "dtype", lambda g, x: q8(g, "MAXIMUM", [int8(g, x), int8(g, x)]))
taken("LOGISTIC:int8", lambda g, x: q8(g, "LOGISTIC", [int8(g, x)], scale=1 / 256))
taken("TANH:int8", lambda g, x: q8(g, "TANH", [int8(g, x)], scale=1 / 128))
taken("ELU:int8", lambda g, x: q8(g, "ELU", [int8(g, x)], version=1))
taken("LEAKY_RELU:int8", lambda g, x: q8(g, "LEAKY_RELU", [int8(g, x)], table("LeakyReluOptions", alpha=0.1)))
refused(
    "LEAKY_RELU:int8, small alpha",
    "quantization",
    lambda g, x: q8(g, "LEAKY_RELU", [int8(g, x)], table("LeakyReluOptions", alpha=0.001)),
)
refused("RELU:int8", "dtype", lambda g, x: q8(g, "RELU", [int8(g, x)]))
refused("HARD_SWISH:int8", "dtype", lambda g, x: q8(g, "HARD_SWISH", [int8(g, x)], version=1))
refused(
    "SOFTMAX:int8",
    "dtype",
    lambda g, x: q8(g, "SOFTMAX", [int8(g, x)], table("SoftmaxOptions", beta=1.0), 1 / 256, zero_point=-128),
)
taken(
    "MAX_POOL_2D:int8",
    lambda g, x: q8(
        g, "MAX_POOL_2D", [int8(g, x)], table("Pool2DOptions", filter_height=2, filter_width=2, stride_h=1, stride_w=1)
    ),
)
refused(
    "AVERAGE_POOL_2D:int8",
    "dtype",
    lambda g, x: q8(
        g,
        "AVERAGE_POOL_2D",
        [int8(g, x)],
        table("Pool2DOptions", filter_height=2, filter_width=2, stride_h=1, stride_w=1),
    ),
)
taken("MEAN:int8", lambda g, x: q8(g, "MEAN", [int8(g, x), ints(g, 1, 2)], table("ReducerOptions"), shape=(1, 6)))
taken(
    "PAD:int8",
    lambda g, x: q8(
        g,
        "PAD",
        [int8(g, x), g.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))],
        table("PadOptions"),
        shape=(1, 10, 14, 6),
    ),
)
taken(
    "CONCATENATION:int8",
    lambda g, x: q8(
        g, "CONCATENATION", [int8(g, x), int8(g, x)], table("ConcatenationOptions", axis=3), shape=(1, 8, 12, 12)
    ),
)
taken(
    "RESIZE_BILINEAR:int8",
    lambda g, x: q8(
        g,
        "RESIZE_BILINEAR",
        [int8(g, x), ints(g, 5, 7)],
        table("ResizeBilinearOptions", half_pixel_centers=True),
        shape=(1, 5, 7, 6),
    ),
)
taken(
    "TRANSPOSE:int8",
    lambda g, x: q8(g, "TRANSPOSE", [int8(g, x), ints(g, 0, 2, 1, 3)], table("TransposeOptions"), shape=(1, 12, 8, 6)),
)
taken("CONV_2D:int8", lambda g, x: g.dequantize(g.conv2d(int8(g, x), 4, kernel=3)))
taken("CONV_2D:int8, 1x1", lambda g, x: g.dequantize(g.conv2d(int8(g, x), 4)))


def _per_channel(g: ModelBuilder, x: Value, scales: int = 4, bias_scales: int = 4) -> Value:
    bias_data = np.arange(4).astype(np.int32)
    weight_scale = np.linspace(0.01, 0.02, scales).astype(np.float32)
    bias_scale = (weight_scale if bias_scales == scales else np.full(bias_scales, 0.01)) * np.float32(SCALE)
    parameters = table(
        "QuantizationParameters", scale=bias_scale.astype(np.float32), zero_point=np.zeros(bias_scales, np.int64)
    )
    bias = g._value((4,), "int_bias", data=bias_data, dtype="int32", quantization=parameters)
    inputs = [int8(g, x), integer_weights(g, (4, 3, 3, 6), scales), bias]
    return q8(g, "CONV_2D", inputs, conv_options(), shape=(1, 6, 10, 4))


taken("CONV_2D:int8 by channel", _per_channel)


def _int8_fully_connected(g: ModelBuilder, x: Value) -> Value:
    bias = integer_bias(g, 4)
    inputs = [int8(g, x), integer_weights(g, (4, 6)), bias]
    return q8(g, "FULLY_CONNECTED", inputs, table("FullyConnectedOptions"), shape=(96, 4))


taken("FULLY_CONNECTED:int8 activations", _int8_fully_connected)

# Dynamic range: int8 weights, float activations.
taken("CONV_2D:int8 filter", lambda g, x: g.conv2d(x, 4, kernel=3, storage="int8_direct"))
taken("CONV_2D:int8 1x1 filter", lambda g, x: g.conv2d(x, 4, storage="int8_direct"))
taken("FULLY_CONNECTED:int8 weights", lambda g, x: g.fully_connected(x, 4, storage="int8_direct"))
taken("FULLY_CONNECTED:int8 weights by channel", _fully_connected_with(lambda g: integer_weights(g, (4, 6), 4)))
fails("CONV_2D:densified int8 filter", "no data", lambda g, x: g.conv2d(x, 4, zeros=0.8, storage="sparse_int8_direct"))
fails(
    "CONV_2D:densified int8 3x3 filter",
    "no data",
    lambda g, x: g.conv2d(x, 4, kernel=3, zeros=0.8, storage="sparse_int8_direct"),
)
fails(
    "FULLY_CONNECTED:densified int8 weights",
    "no data",
    lambda g, x: g.fully_connected(x, 4, zeros=0.8, storage="sparse_int8_direct"),
)

# -- unpacking -----------------------------------------------------------------------------------------------------


def _transpose_conv_stored(g: ModelBuilder, x: Value, storage: str) -> Value:
    options = table("TransposeConvOptions", padding=0, stride_h=2, stride_w=2)
    weights = g.weight((4, 2, 2, 6), 6, 0.8, storage)
    inputs = [ints(g, 1, 16, 24, 4), weights, x, g.bias(4)]
    return g.op("TRANSPOSE_CONV", inputs, [(1, 16, 24, 4)], options, version=3)[0]


for _storage in ("sparse", "fp16", "sparse_fp16", "int8", "sparse_int8"):
    taken(f"CONV_2D:{_storage}", lambda g, x, s=_storage: g.conv2d(x, 4, zeros=0.8, storage=s))
    taken(f"DEPTHWISE_CONV_2D:{_storage}", lambda g, x, s=_storage: g.depthwise(x, zeros=0.8, storage=s))
    taken(f"FULLY_CONNECTED:{_storage}", lambda g, x, s=_storage: g.fully_connected(x, 4, zeros=0.8, storage=s))
    taken(f"ADD:{_storage}", lambda g, x, s=_storage: g.binary("ADD", x, g.weight((1, 1, 1, 6), 6, 3, s)))
    taken(f"TRANSPOSE_CONV:{_storage}", lambda g, x, s=_storage: _transpose_conv_stored(g, x, s))

refused("POW:densify", "operator-type", lambda g, x: g.binary("POW", x, g.weight((1, 1, 1, 6), 6, 3, "sparse")))
refused("POW:fp16", "operator-type", lambda g, x: g.binary("POW", x, g.weight((1, 1, 1, 6), 6, 3, "fp16")))
