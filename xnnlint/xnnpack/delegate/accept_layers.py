"""Acceptance of convolutions, fully-connected layers, matrix products and pools.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitConv2DNode`,
`VisitDepthwiseConv2DNode`, `VisitFullyConnectedNode`, `VisitTransposeConvNode`, `VisitBatchMatMulNode`,
`VisitAveragePool2DNode`, `VisitMaxPool2DNode`, `VisitMediaPipe*Node`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xnnlint.model.graph import Operator, Tensor
from xnnlint.xnnpack.delegate import accept_checks as check
from xnnlint.xnnpack.delegate.accept_checks import Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection
from xnnlint.xnnpack.windows import mediapipe_options, transpose_padding

_FLOAT32 = ("FLOAT32",)


def _tensors(scope: Scope, op: Operator) -> list[Tensor]:
    return [scope.graph.tensors[t] for t in op.inputs if t >= 0]


def _bias(scope: Scope, op: Operator, slot: int) -> Iterator[Rejection]:
    """A rank-1 static bias; the operator is refused where it is left out."""
    if op.inputs[slot] < 0:
        yield Rejection(Objection.BIAS, "a constant bias", "none")
        return
    bias = scope.graph.tensors[op.inputs[slot]]
    yield from check.bias_type(bias)
    yield from check.shape(bias, 1)
    yield from check.static_weight(scope, bias, "bias", Objection.BIAS)
    yield from check.filter_and_bias_types(scope, op.inputs[1], bias.index)


def conv_2d(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.positive(op, "stride_w", "stride_h", "dilation_w_factor", "dilation_h_factor")
    yield from check.arity(op, 3, 1, optional=(2,))
    x, weights, y = scope.graph.tensors[op.inputs[0]], scope.graph.tensors[op.inputs[1]], scope.graph.output_tensor(op)
    yield from check.float_or_q8(x)
    yield from check.shape(x, 4)
    yield from check.filter_type(weights, channel_dimension=0)
    yield from check.shape(weights, 4)
    yield from check.static_weight(scope, weights, "filter", Objection.STATIC_FILTER)
    yield from _bias(scope, op, 2)
    yield from check.float_or_q8(y)
    yield from check.shape(y, 4)
    dynamically_quantized = x.dtype == "FLOAT32" and weights.dtype == "INT8"
    yield from check.same_types(x, y)
    if not dynamically_quantized:
        yield from check.same_types(x, weights)
    if x.shape[3] < weights.shape[3]:
        yield Rejection(Objection.GROUPS, f"at least {weights.shape[3]} input channels", str(x.shape[3]), x.index)
    yield from check.padding(op)
    yield from check.fused_activation(op)


def depthwise_conv_2d(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 3, 1, optional=(2,))
    x, weights, y = scope.graph.tensors[op.inputs[0]], scope.graph.tensors[op.inputs[1]], scope.graph.output_tensor(op)
    yield from check.float_or_q8(x)
    yield from check.shape(x, 4)
    yield from check.filter_type(weights, channel_dimension=3)
    yield from check.shape(weights, 4)
    yield from check.static_weight(scope, weights, "filter", Objection.STATIC_FILTER)
    yield from _bias(scope, op, 2)
    yield from check.float_or_q8(y)
    yield from check.shape(y, 4)
    yield from check.same_types(x, weights, y)
    yield from check.positive(op, "stride_w", "stride_h", "depth_multiplier")
    channels, multiplier = weights.shape[3], check.number(op, "depth_multiplier")
    if channels % multiplier:
        yield Rejection(Objection.DEPTH_MULTIPLIER, f"a divisor of the {channels} output channels", str(multiplier))
    yield from check.positive(op, "dilation_w_factor", "dilation_h_factor")
    yield from check.padding(op)
    yield from check.fused_activation(op)


def fully_connected(scope: Scope, op: Operator) -> Iterator[Rejection]:
    if op.version == 8:
        yield Rejection(
            Objection.SPARSE_FULLY_CONNECTED, "dense weights, or sparse weights behind DENSIFY", "version 8"
        )
    weights_format = op.attributes.get("weights_format", "DEFAULT")
    if weights_format != "DEFAULT":
        yield Rejection(Objection.WEIGHTS_FORMAT, "weights format DEFAULT", str(weights_format))
    yield from check.arity(op, (2, 3), 1, optional=(2,))
    x, weights, y = scope.graph.tensors[op.inputs[0]], scope.graph.tensors[op.inputs[1]], scope.graph.output_tensor(op)
    dynamic_weights = scope.profile["dynamic_fully_connected"]
    yield from check.float_or_q8(x)
    yield from check.shape(weights, 2)
    if not (dynamic_weights and weights.dtype == "FLOAT32"):
        yield from check.fully_connected_filter_type(weights)
        yield from check.static_weight(scope, weights, "weights", Objection.STATIC_FILTER)
    bias = scope.graph.input_tensor(op, 2)
    if bias is not None:
        yield from _fully_connected_bias(scope, op, bias, dynamic_weights)
    yield from check.float_or_q8(y)
    yield from check.same_types(x, y)
    small = weights.dtype in ("INT8", "INT4", "INT2")
    dynamically_quantized = x.dtype in check.FLOATS and small
    if not dynamically_quantized and not (x.dtype == "INT8" and small):
        yield from check.same_types(x, weights)
    zero_point = _single_zero_point(weights)
    if not dynamically_quantized and weights.dtype == "INT8" and zero_point:
        yield Rejection(Objection.QUANTIZATION, "zero point 0 of the weights", str(zero_point), weights.index)
    for dtype, multiple in (("INT4", 2), ("INT2", 4)):
        if weights.dtype == dtype and weights.shape[1] % multiple:
            yield Rejection(
                Objection.CHANNELS, f"input channels divisible by {multiple}", str(weights.shape[1]), weights.index
            )
    yield from check.fused_activation(op)


def _fully_connected_bias(scope: Scope, op: Operator, bias: Tensor, dynamic: bool) -> Iterator[Rejection]:
    if not (dynamic and bias.dtype == "FLOAT32"):
        elements, channels = 1, scope.graph.tensors[op.inputs[1]].shape[0]
        for dim in bias.shape:
            elements *= dim
        if elements != channels:
            yield Rejection(Objection.BIAS, f"{channels} elements of the bias", str(elements), bias.index)
        yield from check.bias_type(bias)
        yield from check.static_weight(scope, bias, "bias", Objection.BIAS)
    yield from check.filter_and_bias_types(scope, op.inputs[1], bias.index)


def _single_zero_point(tensor: Tensor) -> int:
    """The zero point as TFLite keeps it for a whole tensor: 0 where scales are by channel."""
    q = tensor.quantization
    return q.zero_point[0] if q is not None and len(q.scale) == 1 and len(q.zero_point) == 1 else 0


def transpose_conv(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, (3, 4), 1, optional=(3,))
    output_shape, weights, x, *rest = _tensors(scope, op)
    y = scope.graph.output_tensor(op)
    yield from check.dtype(output_shape, ("INT32",))
    yield from check.vector(output_shape, "shape")
    yield from check.constant_parameter(scope, output_shape, "output shape", Objection.SHAPE_NOT_CONSTANT)
    if output_shape.shape[0] != 4:
        yield Rejection(Objection.RANK, "4 output dimensions", str(output_shape.shape[0]), output_shape.index)
    yield from check.shape(weights, 4)
    yield from check.static_weight(scope, weights, "filter", Objection.STATIC_FILTER)
    yield from check.float_or_q8(x, _FLOAT32)
    yield from check.shape(x, 4)
    yield from check.filter_type(weights, channel_dimension=0)
    if rest:
        yield from check.bias_type(rest[0])
        yield from check.shape(rest[0], 1)
        yield from check.static_weight(scope, rest[0], "bias", Objection.BIAS)
    yield from check.float_or_q8(y, _FLOAT32)
    yield from check.shape(y, 4)
    _, height, width, channels = (int(d) for d in check.constant(output_shape))
    if weights.shape[0] != channels:
        yield Rejection(
            Objection.CHANNELS, f"{channels} output channels of the filter", str(weights.shape[0]), weights.index
        )
    if weights.shape[3] != x.shape[3]:
        yield Rejection(
            Objection.CHANNELS, f"{x.shape[3]} input channels of the filter", str(weights.shape[3]), weights.index
        )
    yield from _transpose_window(op.attributes, x, weights, (height, width))
    yield from check.fused_activation(op)


def _transpose_window(
    options: dict[str, Any], x: Tensor, weights: Tensor, output: tuple[int, int]
) -> Iterator[Rejection]:
    stride = (int(options.get("stride_h", 0)), int(options.get("stride_w", 0)))
    if min(stride) <= 0:
        yield Rejection(Objection.STRIDE, "strides above 0", f"{stride[0]}x{stride[1]}")
    mode = options.get("padding", "SAME")
    window = transpose_padding(mode, x.shape[1:3], output, weights.shape[1:3], stride)  # type: ignore[arg-type]
    if isinstance(window, str):
        yield Rejection(Objection.PADDING, "padding that the output shape follows from", window)


def batch_matmul(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    a, b = _tensors(scope, op)
    y = scope.graph.output_tensor(op)
    transposed = bool(op.attributes.get("adj_y", False))
    yield from check.float_or_q8(a)
    yield from check.filter_type(b, channel_dimension=b.rank - (2 if transposed else 1))
    dynamically_quantized = a.dtype == "FLOAT32" and b.dtype == "INT8"
    if b.dtype == "INT8" and not dynamically_quantized:
        assert b.quantization is not None
        zero_point = b.quantization.zero_point[0] if b.quantization.zero_point else 0
        if zero_point:
            yield Rejection(Objection.QUANTIZATION, "zero point 0 of the second input", str(zero_point), b.index)
    yield from check.float_or_q8(y)
    if not dynamically_quantized:
        yield from check.same_types(a, b)
        if b.dtype == "INT8" and b.quantization is not None and len(b.quantization.scale) > 1:
            yield Rejection(Objection.QUANTIZATION, "one scale for the second input", "one for each channel", b.index)
    for tensor in (a, b):
        if tensor.rank < 2:
            yield Rejection(Objection.RANK, "rank 2 or above", f"rank {tensor.rank}", tensor.index)


def pool(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 1, 1)
    x, y = scope.graph.tensors[op.inputs[0]], scope.graph.output_tensor(op)
    if op.type == "AVERAGE_POOL_2D":
        yield from check.float_type(x)
        yield from check.float_type(y)
    else:
        yield from check.float_or_q8(x, _FLOAT32)
        yield from check.float_or_q8(y)
    yield from check.positive(op, "stride_w", "stride_h", "filter_width", "filter_height")
    stride = (check.number(op, "stride_h"), check.number(op, "stride_w"))
    size = (check.number(op, "filter_height"), check.number(op, "filter_width"))
    window = f"filter {size[0]}x{size[1]}, stride {stride[0]}x{stride[1]}"
    if stride[0] > size[0] or stride[1] > size[1]:
        yield Rejection(Objection.POOL_STRIDE, "strides up to the filter's size", window)
    if size == (1, 1) and max(stride) > 1:
        yield Rejection(Objection.POOL_STRIDE, "stride 1 with a 1x1 filter", window)
    yield from check.padding(op)
    yield from check.fused_activation(op)


def mediapipe_deconvolution(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 3, 1)
    x, weights, bias = _tensors(scope, op)
    y = scope.graph.output_tensor(op)
    for tensor, rank in ((x, 4), (weights, 4), (bias, 1), (y, 4)):
        yield from check.dtype(tensor, _FLOAT32)
        yield from check.shape(tensor, rank)
    yield from check.static_weight(scope, weights, "filter", Objection.STATIC_FILTER)
    yield from check.static_weight(scope, bias, "bias", Objection.BIAS)
    yield from _transpose_window(mediapipe_options(op), x, weights, y.shape[1:3])  # type: ignore[arg-type]


def mediapipe_max_pooling(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 1, 2)
    yield from _mediapipe_pool(scope, op, [op.inputs[0], op.outputs[0]], op.outputs[1])


def mediapipe_unpooling(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    yield from _mediapipe_pool(scope, op, [op.inputs[0], op.outputs[0]], op.inputs[1])


def _mediapipe_pool(scope: Scope, op: Operator, values: list[int], index: int) -> Iterator[Rejection]:
    for tensor in (scope.graph.tensors[t] for t in values):
        yield from check.dtype(tensor, _FLOAT32)
        yield from check.shape(tensor, 4)
    yield from check.shape(scope.graph.tensors[index], 4)
    options = mediapipe_options(op)
    stride = (options["stride_h"], options["stride_w"])
    size = (options["filter_height"], options["filter_width"])
    if min(*stride, *size) <= 0 or stride != size:
        window = f"filter {size[0]}x{size[1]}, stride {stride[0]}x{stride[1]}"
        yield Rejection(Objection.POOL_STRIDE, "strides equal to the filter's size", window)
    if options["fused_activation_function"] not in check.ACTIVATION_RANGES:
        yield Rejection(Objection.FUSED_ACTIVATION, "no fused activation", options["fused_activation_function"])
    if options["padding"] == "unknown":
        yield Rejection(Objection.PADDING, "padding SAME or VALID", "unknown")
