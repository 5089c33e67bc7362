"""What XNNPACK refuses to define: the delegate took the operator, but its node can't be made, and loading fails.

TFLite doesn't fall back in that case: the whole model fails to allocate its tensors.

Sources: google/XNNPACK src/subgraph/*.c (the checks of the `xnn_define_*` functions, validation.c) and src/tensor.c,
read at 75db3c0 (2026-08-21); google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `DefineXNNPACKValue`.
"""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.model.graph import Graph
from xnnlint.xnnpack.delegate.accept_checks import MAX_RANK
from xnnlint.xnnpack.delegate.delegation import Failure
from xnnlint.xnnpack.fault import Fault, TensorRef, Wrong
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.profile import Profile

Types = tuple[str, str, "str | None", str]
"""Types of (filter, input, bias, output) that a node with weights can have; None for an absent bias."""

_FLOAT_WEIGHTS: set[Types] = {
    ("fp32", "fp32", "fp32", "fp32"),
    ("fp32", "fp16", "fp32", "fp16"),
    ("fp16", "fp32", "fp16", "fp32"),
    ("fp16", "fp32", "fp32", "fp32"),
}
_FP16_WEIGHTS: set[Types] = {("fp16", "fp16", "fp16", "fp16"), ("fp16", "fp16", "fp32", "fp16")}
_Q8_WEIGHTS: set[Types] = {("qint8", "qint8", "qint32", "qint8"), ("quint8", "quint8", "qint32", "quint8")}
_QC8_WEIGHTS: set[Types] = {("qcint8", "qint8", "qcint32", "qint8"), ("qcint8", "qdint8", "fp32", "fp32")}
_DEPTHWISE = _FLOAT_WEIGHTS | _FP16_WEIGHTS | _Q8_WEIGHTS | {("qcint8", "qint8", "qcint32", "qint8")}
_CONVOLUTION = _FLOAT_WEIGHTS | _FP16_WEIGHTS | _Q8_WEIGHTS | _QC8_WEIGHTS | {("qcint8", "qdint8", "fp32", "fp16")}
_DECONVOLUTION = _FLOAT_WEIGHTS | _Q8_WEIGHTS | _QC8_WEIGHTS
_SMALL_WEIGHTS: set[Types] = {
    (filter_, *rest)
    for filter_ in ("qbint4", "qcint2", "qcint4", "qcint8")
    for rest in (
        ("qdint8", "fp32", "fp32"),
        ("qdint8", "fp32", "fp16"),
        ("qint8", "qcint32", "qint8"),
        ("qint8", "qint32", "qint8"),
    )
}
_WEIGHTED: dict[str, set[Types]] = {
    NodeType.CONVOLUTION_2D: _CONVOLUTION,
    NodeType.DEPTHWISE_CONVOLUTION_2D: _DEPTHWISE,
    NodeType.DECONVOLUTION_2D: _DECONVOLUTION,
    NodeType.FULLY_CONNECTED: _FLOAT_WEIGHTS | _FP16_WEIGHTS | _Q8_WEIGHTS | _SMALL_WEIGHTS,
}

# Nodes that move values without a change: types, and scales of 8-bit values, are the same at both ends.
_MOVES = {
    *(NodeType.CONSTANT_PAD, NodeType.RESHAPE, NodeType.COPY, NodeType.CONCATENATE, NodeType.EVEN_SPLIT),
    *(NodeType.SLICE, NodeType.TRANSPOSE, NodeType.MAX_POOLING_2D),
}
_SAME_TYPES = _MOVES | {
    *(NodeType.BINARY, NodeType.SOFTMAX, NodeType.DEPTH_TO_SPACE_2D, NodeType.SPACE_TO_DEPTH_2D),
    NodeType.RESIZE_BILINEAR,
}


def undefinable(graph: Graph, subgraph: Subgraph, profile: Profile) -> Failure | None:
    """The first value or node of a fresh subgraph that XNNPACK refuses, None where it takes all."""
    nodes = [node for node in subgraph.nodes if node.operator != "assumed"]
    for node in nodes:
        for value in (subgraph.values[v] for v in (*node.inputs, *node.outputs)):
            for fault in _value(value):
                return Failure(node.op, fault)
    for node in nodes:
        for fault in _node(graph, subgraph, node, profile):
            return Failure(node.op, fault)
    counts = subgraph.consumer_counts()
    for node in nodes:
        if node.type == NodeType.EVEN_SPLIT and profile["split_needs_first_part"]:
            first, *others = (counts[part] for part in node.outputs)
            if not first and any(others):
                return Failure(node.op, Fault(Wrong.FIRST_PART_UNREAD))
    return None


def _value(value: Value) -> Iterator[Fault]:
    tensor = TensorRef(value.tensor, value.tensor_name)
    if value.dtype == "invalid":
        yield Fault(Wrong.NO_SUCH_TYPE, subject=tensor)
    if value.rank > MAX_RANK:
        yield Fault(Wrong.RANK_TOO_HIGH, MAX_RANK, value.rank, tensor)


def _node(graph: Graph, subgraph: Subgraph, node: Node, profile: Profile) -> Iterator[Fault]:
    inputs, outputs = ([subgraph.values[v] for v in ids] for ids in (node.inputs, node.outputs))
    if node.type in _WEIGHTED:
        yield from _weights(graph, node, inputs, outputs[0], profile)
    # The delegate accepts a TRANSPOSE_CONV with VALID padding whatever its stride: it divides by 0, or the node is
    # refused when it is reshaped, which is as early. Source: xnnpack_delegate.cc `CalculateTransposeConvPaddings`.
    if node.type == NodeType.DECONVOLUTION_2D and min(node.params["stride"]) < 1:
        yield Fault(Wrong.STRIDE_BELOW_1, actual=node.params["stride"])
    # Of a reduction. Refused when it is reshaped, which is as early: src/operators/reduce-nd.c `reshape_reduce_nd`.
    for axis in node.params.get("axes", ()):
        if inputs[0].rank and not 0 <= axis < inputs[0].rank:
            # Counted from the end, as the model names it.
            yield Fault(Wrong.NO_SUCH_AXIS, inputs[0].rank, axis if axis >= 0 else axis - inputs[0].rank)
    if node.params.get("repeats_axes") and profile["repeated_axes_refused"]:
        yield Fault(Wrong.AXIS_REPEATED)
    if node.type in _SAME_TYPES:
        found = {v.dtype for v in (*inputs, *outputs)}
        if len(found) > 1:
            yield Fault(Wrong.TYPES_DIFFER, actual=tuple(sorted(found)), subject=node.type)
    if node.type in _MOVES:
        scales = {_scale(graph, v) for v in (*inputs, *outputs) if v.dtype in ("qint8", "quint8")}
        if len(scales - {None}) > 1:
            yield Fault(Wrong.SCALES_DIFFER, subject=node.type)


def _weights(graph: Graph, node: Node, inputs: list[Value], output: Value, profile: Profile) -> Iterator[Fault]:
    data, filter_, *rest = inputs
    bias = rest[0] if rest else None
    dynamic = node.type == NodeType.FULLY_CONNECTED and filter_.dtype in ("fp32", "fp16")
    if not filter_.is_static and not dynamic:
        yield Fault(Wrong.FILTER_WITHOUT_DATA)
    if bias is not None and not bias.is_static and not dynamic:
        yield Fault(Wrong.BIAS_NOT_CONSTANT, subject=node.type)
    quantization = graph.tensors[filter_.tensor].quantization if filter_.tensor is not None else None
    if filter_.dtype == "qint8" and quantization is not None and quantization.zero_point[0] != 0:
        yield Fault(Wrong.FILTER_ZERO_POINT, actual=quantization.zero_point[0], subject=node.type)
    wanted: set[Types] = set(_WEIGHTED[node.type])
    if node.type == NodeType.DEPTHWISE_CONVOLUTION_2D and not profile["depthwise_fp16_filter_with_fp32_bias"]:
        wanted = wanted - {("fp16", "fp32", "fp32", "fp32")}
    if bias is None:
        wanted = {(f, i, None, o) for f, i, _, o in wanted}
    types = (filter_.dtype, data.dtype, bias.dtype if bias else None, output.dtype)
    if types not in wanted:
        yield Fault(Wrong.WEIGHT_TYPES, actual=types, subject=node.type)
    if node.type == NodeType.CONVOLUTION_2D:
        groups = node.params["groups"]
        if filter_.shape[0] % groups:
            yield Fault(Wrong.GROUPS_UNEVEN, groups, filter_.shape[0])


def _scale(graph: Graph, value: Value) -> tuple[float, int] | None:
    """Scale and zero point; None for a value that only XNNPACK has, which takes over those of its neighbour."""
    q = graph.tensors[value.tensor].quantization if value.tensor is not None else None
    return (q.scale[0], q.zero_point[0]) if q is not None and q.scale and q.zero_point else None
