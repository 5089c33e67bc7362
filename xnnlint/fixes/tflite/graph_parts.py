"""Questions that several fixes ask of the graph, and operators that several put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.fixes.tflite import object_api as schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.fixes.tflite.graph_view import View

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
"""The orders of a TRANSPOSE of a map, as TFLite has it, to NCHW, and back."""

_NEVER_NEGATIVE = ("RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "ABS", "SQUARE")
# Each element of what these write is one that they read, zero, or between some of these.
_AS_THEIR_INPUT = (
    "AVERAGE_POOL_2D",
    "DEPTH_TO_SPACE",
    "GATHER",
    "MAX_POOL_2D",
    "MEAN",
    "PAD",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPACE_TO_DEPTH",
    "STRIDED_SLICE",
    "TRANSPOSE",
)
_CONVOLUTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}


def is_float(graph: GraphEdit, *tensors: int) -> bool:
    """Whether tensors are plain fp32; quantized models are left alone."""
    return all(t >= 0 and graph.dtype(t) == "FLOAT32" and not graph.is_quantized(t) for t in tensors)


def is_constant(graph: GraphEdit, tensor: int) -> bool:
    """Whether a tensor is stored in the file, also as fp16 behind DEQUANTIZE, or sparse behind DENSIFY."""
    if (unpacker := graph.unpacker(tensor)) is not None:
        return is_constant(graph, unpacker.inputs[0])
    return graph.producer(tensor) is None and graph.data(tensor) is not None


def is_map(graph: GraphEdit, tensor: int) -> bool:
    """Whether a value computed by the model is one of height and width."""
    return not is_constant(graph, tensor) and len(graph.shape(tensor)) == 4


def weights(graph: GraphEdit, tensor: int) -> np.ndarray | None:
    """The values of an fp32 filter or bias, also behind DENSIFY or a DEQUANTIZE from fp16; None for other ones."""
    import numpy as np

    from xnnlint.fixes.change import CannotChange
    from xnnlint.fixes.tflite.sparse_encoding import dense_values

    if graph.producer(tensor) is None:
        values = graph.constant(tensor) if tensor >= 0 else None
        return values if values is not None and values.dtype == np.float32 else None
    unpacker = graph.unpacker(tensor)
    if unpacker is None:
        return None
    source = unpacker.inputs[0]
    if unpacker.type == "DENSIFY":
        try:
            values = dense_values(graph, source)
        except CannotChange:
            return None
        return values if values.dtype in (np.float32, np.float16) else None
    if graph.dtype(source) == "FLOAT16":
        found = weights(graph, source) if graph.producer(source) is not None else graph.constant(source)
        return found.astype(np.float32) if found is not None else None
    return None


def is_never_negative(view: View, tensor: int) -> bool:
    """Whether a value is zero or above, whatever the model reads; False where that is not seen."""
    graph, pending, seen = view.graph, [tensor], set[int]()
    while pending:
        tensor = pending.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        producer = graph.producer(tensor)
        if producer is None:
            return False
        if not view.is_regular(producer):
            return False
        if producer.type in _NEVER_NEGATIVE or activation(producer) in ("RELU", "RELU6", "RELU_0_TO_1"):
            continue
        if producer.type in _AS_THEIR_INPUT:
            pending.append(producer.inputs[0])
        elif producer.type == "CONCATENATION":
            pending += producer.inputs
        else:
            return False
    return True


def write_as(view: View, op: Op, type_: str, suffix: str, **more: Any) -> None:
    """Puts a convolution of another type in the place of one with the same window, whose filter has its first and last
    dimension the other way round.

    Args:
        suffix: of the filter's name.
        more: fields that only the other type's options have.

    Raises:
        CannotChange: its weights cannot be read.
    """
    import numpy as np

    from xnnlint.fixes.change import CannotChange

    graph, options = view.graph, op.options
    kernel = weights(graph, op.inputs[1])
    if kernel is None:
        raise CannotChange("its kernel cannot be read")
    plain_bias(view, op)
    filters = np.ascontiguousarray(kernel.transpose(3, 1, 2, 0))
    graph.insert(
        type_,
        [op.inputs[0], graph.add_constant(f"{graph.name(op.inputs[1])}_{suffix}", filters), op.inputs[2]],
        op.outputs,
        near=op,
        options=_CONVOLUTIONS[type_],
        padding=options.padding,
        strideH=options.strideH,
        strideW=options.strideW,
        dilationHFactor=options.dilationHFactor,
        dilationWFactor=options.dilationWFactor,
        fusedActivationFunction=schema.number("ActivationFunctionType", activation(op)),
        **more,
    )
    graph.remove(op)


def plain_bias(view: View, op: Op) -> None:
    """Gives an operator its bias as an fp32 constant, for a filter that is one: the delegate refuses an fp32 filter
    with a bias behind a DEQUANTIZE from fp16 (`CheckFilterAndBiasTypes` in google-ai-edge/LiteRT tflite/delegates/
    xnnpack/xnnpack_delegate.cc)."""
    graph = view.graph
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    if bias >= 0 and graph.producer(bias) is not None:
        values = weights(graph, bias)
        if values is not None:
            op.inputs[2] = graph.add_constant(f"{graph.name(bias)}_fp32", values)


def activation(op: Op) -> str:
    """The fused activation by name, "NONE" where there is none."""
    value = getattr(op.options, "fusedActivationFunction", 0)
    return schema.name_of("ActivationFunctionType", value)


def set_activation(op: Op, name: str) -> None:
    op.options.fusedActivationFunction = schema.number("ActivationFunctionType", name)


def is_same(op: Op) -> bool:
    return schema.name_of("Padding", op.options.padding) == "SAME"


def add_pad(view: View, op: Op, amounts: tuple[tuple[int, int], ...]) -> None:
    """Puts a PAD of zeros in front of what an operator reads first.

    Args:
        amounts: before and after each of the four dimensions.
    """
    import numpy as np

    graph, source = view.graph, op.inputs[0]
    shape = [size + before + after for size, (before, after) in zip(graph.shape(source), amounts, strict=True)]
    padded = graph.add_like(source, "_padded", shape)
    paddings = graph.add_constant(f"{graph.name(source)}_paddings", np.array(amounts, np.int32))
    graph.insert("PAD", [source, paddings], [padded], near=op, options="PadOptions")
    op.inputs[0] = padded


def add_transpose(
    view: View, near: Op, source: int, target: int | None, order: Sequence[int], *, after: bool = False
) -> int:
    """Puts a TRANSPOSE of four dimensions in front of an operator, or behind it; what it writes.

    Args:
        target: the tensor that it writes; None for a new one.
    """
    import numpy as np

    graph = view.graph
    if target is None:
        shape = graph.shape(source)
        target = graph.add_like(source, "_transposed", [shape[axis] for axis in order])
    stored = graph.add_constant(f"{graph.name(target)}/order", np.array(order, np.int32))
    graph.insert("TRANSPOSE", [source, stored], [target], near=near, after=after, options="TransposeOptions")
    return target


def zeros(view: View, channels: int, name: str) -> int:
    """A bias of zeros, which the delegate demands."""
    import numpy as np

    return view.graph.add_constant(f"{name}/no_bias", np.zeros(channels, np.float32))


def insert_depthwise(
    view: View,
    near: Op,
    source: int,
    target: int,
    kernel: np.ndarray,
    *,
    label: str = "kernel",
    bias: int | None = None,
    padding: str = "SAME",
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    fused: str = "NONE",
) -> Op:
    """Puts a DEPTHWISE_CONV_2D from one tensor to another in front of an operator.

    Args:
        kernel: fp32, [1, height, width, channels].
        label: the end of the kernel's name, behind that of `target`.
        bias: a tensor; None for zeros.
    """
    graph, name = view.graph, view.graph.name(target)
    stored = graph.add_constant(f"{name}/{label}", kernel)
    return graph.insert(
        "DEPTHWISE_CONV_2D",
        [source, stored, zeros(view, kernel.shape[3], name) if bias is None else bias],
        [target],
        near=near,
        options="DepthwiseConv2DOptions",
        padding=schema.number("Padding", padding),
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        depthMultiplier=1,
        fusedActivationFunction=schema.number("ActivationFunctionType", fused),
    )
