"""Convolutions, fully-connected layers, matrix products and pools.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitConv2DNode` and its kin;
google/XNNPACK src/subgraph/convolution-2d.c, depthwise-convolution-2d.c, fully-connected.c, deconvolution-2d.c,
*-pooling-2d.c.
"""

from __future__ import annotations

import math
from typing import Any

from xnnlint.model.graph import BLOCKWISE, Operator
from xnnlint.xnnpack.delegate.accept_checks import constant, number
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.lower.lower_values import Lowering, datatype, output_range
from xnnlint.xnnpack.windows import mediapipe_options, transpose_padding

_NO_PADDING = (0, 0, 0, 0)
_SMALL = {"INT8": "qcint8", "INT4": "qcint4", "INT2": "qcint2"}


def _window(op: Operator, kernel: tuple[int, int]) -> dict[str, Any]:
    """Kernel, stride, dilation and padding of a convolution, as XNNPACK's node has them.

    SAME padding with stride 1 is made explicit when the node is defined; with other strides XNNPACK computes it from
    the shapes at run time (`same_padding`).
    """
    stride = (number(op, "stride_h"), number(op, "stride_w"))
    dilation = (number(op, "dilation_h_factor"), number(op, "dilation_w_factor"))
    same, padding = op.attributes.get("padding", "SAME") == "SAME", _NO_PADDING
    if same and stride == (1, 1):
        height, width = ((k - 1) * d for k, d in zip(kernel, dilation, strict=True))
        top, left = height // 2, width // 2
        same, padding = False, (top, width - left, height - top, left)
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding, "same_padding": same}


def _static_inputs(lowering: Lowering, op: Operator, first: int) -> list[int]:
    """Values of filter and bias, without an absent bias."""
    return [lowering.ids[t] for t in op.inputs[first:] if t >= 0]


def _dynamically_quantized(lowering: Lowering, op: Operator, source: int, shape: tuple[int, ...]) -> int:
    """The value that a convert node writes for an operator with fp32 activations and integer weights."""
    quantized = lowering.subgraph.new_value("qdint8", shape)
    lowering.node(op, NodeType.UNARY, [source], [quantized.id], "convert")
    return quantized.id


def _integer_filter(lowering: Lowering, tensor: int) -> int:
    """A second value for a filter, quantized by channel; taken from the file's own data, never from unpacked data."""
    stored = lowering.graph.tensors[tensor]
    data = lowering.data(tensor) if stored.is_constant else None
    blocks = stored.quantization is not None and stored.quantization.details == BLOCKWISE
    dtype = "qbint4" if blocks and stored.dtype == "INT4" else _SMALL[stored.dtype]
    return lowering.subgraph.new_value(dtype, stored.shape, tensor=tensor, data=data, tensor_name=stored.name).id


def conv_2d(lowering: Lowering, op: Operator) -> None:
    x, weights = lowering.graph.tensors[op.inputs[0]], lowering.graph.tensors[op.inputs[1]]
    outputs, kernel_h, kernel_w, inputs = weights.shape
    window = _window(op, (kernel_h, kernel_w))
    groups = x.shape[3] // inputs
    source, static = lowering.input(op), _static_inputs(lowering, op, 1)
    if x.dtype == "FLOAT32" and weights.dtype == "INT8":
        source = _dynamically_quantized(lowering, op, source, x.shape)
        static[0] = _integer_filter(lowering, weights.index)
    unit = groups == 1 and window["kernel"] == window["stride"] == (1, 1)
    # The pair 1 -> 1 channel is left to a multiply-add kernel.
    if unit and inputs + outputs // groups > 2 and lowering.profile["pointwise_as_fully_connected"]:
        lowering.node(
            op, NodeType.FULLY_CONNECTED, [source, *static], [lowering.output(op)], activation=output_range(op)
        )
        return
    lowering.node(
        op,
        NodeType.CONVOLUTION_2D,
        [source, *static],
        [lowering.output(op)],
        activation=output_range(op),
        **window,
        groups=groups,
        group_input_channels=inputs,
        group_output_channels=outputs // groups,
        input_channels=x.shape[3],
    )


def depthwise_conv_2d(lowering: Lowering, op: Operator) -> None:
    weights = lowering.graph.tensors[op.inputs[1]]
    multiplier = number(op, "depth_multiplier")
    lowering.node(
        op,
        NodeType.DEPTHWISE_CONVOLUTION_2D,
        [lowering.input(op), *_static_inputs(lowering, op, 1)],
        [lowering.output(op)],
        activation=output_range(op),
        **_window(op, weights.shape[1:3]),  # type: ignore[arg-type]
        depth_multiplier=multiplier,
        input_channels=weights.shape[3] // multiplier,
    )


def fully_connected(lowering: Lowering, op: Operator) -> None:
    x, weights = lowering.graph.tensors[op.inputs[0]], lowering.graph.tensors[op.inputs[1]]
    source, static = lowering.input(op), _static_inputs(lowering, op, 1)
    keep_num_dims = bool(op.attributes.get("keep_num_dims", False))
    explicit = lowering.profile["fully_connected_explicit_reshape"]
    channels = weights.shape[1]
    if not keep_num_dims and explicit:
        rows = math.prod(x.shape) // channels if channels else 0
        flat = lowering.subgraph.new_value(datatype(x), (rows, channels))
        lowering.node(op, NodeType.RESHAPE, [source], [flat.id], new_shape=(0, channels))
        source = flat.id
    small = weights.dtype in _SMALL
    if small and x.dtype in ("FLOAT32", "FLOAT16"):
        source = _dynamically_quantized(lowering, op, source, x.shape)
    if small and x.dtype in ("FLOAT32", "FLOAT16", "INT8"):
        static[0] = _integer_filter(lowering, weights.index)
    params: dict[str, Any] = {} if keep_num_dims or explicit else {"reshape_2d": True}
    lowering.node(
        op,
        NodeType.FULLY_CONNECTED,
        [source, *static],
        [lowering.output(op)],
        activation=output_range(op),
        **params,
    )


def transpose_conv(lowering: Lowering, op: Operator) -> None:
    size = tuple(int(d) for d in constant(lowering.graph.tensors[op.inputs[0]])[1:3])
    _deconvolution(lowering, op, op.attributes, data=2, static=(1, 3), size=size)


def mediapipe_deconvolution(lowering: Lowering, op: Operator) -> None:
    size = lowering.graph.output_tensor(op).shape[1:3]
    # The delegate doesn't apply the stored activation.
    options = mediapipe_options(op) | {"fused_activation_function": "NONE"}
    _deconvolution(lowering, op, options, data=0, static=(1, 2), size=size)


def _deconvolution(
    lowering: Lowering,
    op: Operator,
    options: dict[str, Any],
    data: int,
    static: tuple[int, int],
    size: tuple[int, ...],
) -> None:
    x, weights = lowering.graph.tensors[op.inputs[data]], lowering.graph.tensors[op.inputs[static[0]]]
    stride = (int(options.get("stride_h", 0)), int(options.get("stride_w", 0)))
    kernel = weights.shape[1:3]
    window = transpose_padding(options.get("padding", "SAME"), x.shape[1:3], size, kernel, stride)  # type: ignore[arg-type]
    assert not isinstance(window, str), window
    source = lowering.input(op, data)
    values = [lowering.ids[op.inputs[s]] for s in static if s < len(op.inputs) and op.inputs[s] >= 0]
    if x.dtype == "FLOAT32" and weights.dtype == "INT8":
        source = _dynamically_quantized(lowering, op, source, x.shape)
        values[0] = _integer_filter(lowering, weights.index)
    lowering.node(
        op,
        NodeType.DECONVOLUTION_2D,
        [source, *values],
        [lowering.output(op)],
        activation=output_range(op) if op.type == "TRANSPOSE_CONV" else (float("-inf"), float("inf")),
        kernel=kernel,
        stride=stride,
        dilation=(1, 1),
        padding=window.padding,
        adjustment=window.adjustment,
        groups=1,
        group_input_channels=weights.shape[3],
        group_output_channels=weights.shape[0],
    )


def batch_matmul(lowering: Lowering, op: Operator) -> None:
    a, b = lowering.graph.tensors[op.inputs[0]], lowering.graph.tensors[op.inputs[1]]
    left, right = lowering.input(op, 0), lowering.input(op, 1)
    if op.attributes.get("adj_x", False):
        transposed = lowering.subgraph.new_value(datatype(a), a.shape)
        permutation = (*range(a.rank - 2), a.rank - 1, a.rank - 2)
        lowering.node(op, NodeType.TRANSPOSE, [left], [transposed.id], perm=permutation)
        left = transposed.id
    if a.dtype == "FLOAT32" and b.dtype == "INT8":
        right = _integer_filter(lowering, b.index)
        left = _dynamically_quantized(lowering, op, left, a.shape)
    transpose_b = bool(op.attributes.get("adj_y", False))
    lowering.node(op, NodeType.BATCH_MATRIX_MULTIPLY, [left, right], [lowering.output(op)], transpose_b=transpose_b)


def pool(lowering: Lowering, op: Operator) -> None:
    kernel = (number(op, "filter_height"), number(op, "filter_width"))
    source, target = lowering.input(op), lowering.output(op)
    if kernel == (1, 1):
        lowering.clamp(op, source, target, output_range(op))
        return
    average = op.type == "AVERAGE_POOL_2D"
    lowering.node(
        op,
        NodeType.AVERAGE_POOLING_2D if average else NodeType.MAX_POOLING_2D,
        [source],
        [target],
        activation=output_range(op),
        kernel=kernel,
        stride=(number(op, "stride_h"), number(op, "stride_w")),
        dilation=(1, 1),
        padding=_NO_PADDING,
        same_padding=op.attributes.get("padding", "SAME") == "SAME",
    )


def mediapipe_max_pooling(lowering: Lowering, op: Operator) -> None:
    options = mediapipe_options(op)
    lowering.node(
        op,
        NodeType.ARGMAX_POOLING_2D,
        [lowering.input(op)],
        [lowering.output(op, 0), lowering.output(op, 1)],
        kernel=(options["filter_height"], options["filter_width"]),
        padding=_NO_PADDING,
        same_padding=options["padding"] == "SAME",
    )


def mediapipe_unpooling(lowering: Lowering, op: Operator) -> None:
    options = mediapipe_options(op)
    lowering.node(
        op,
        NodeType.UNPOOLING_2D,
        [lowering.input(op, 0), lowering.input(op, 1)],
        [lowering.output(op)],
        kernel=(options["filter_height"], options["filter_width"]),
        padding=_NO_PADDING,
    )
