"""Operators that TFLite's own kernels refuse to set up, whatever runs around them."""

from __future__ import annotations

from xnnlint.model.graph import BLOCKWISE, Graph, Operator
from xnnlint.xnnpack.fault import Fault, Wrong

_STRIDES = ("stride_h", "stride_w")
_DILATED = (*_STRIDES, "dilation_h_factor", "dilation_w_factor")
# What must be above 0. Sources: google-ai-edge/LiteRT tflite/kernels/conv.cc, depthwise_conv.cc, pooling.cc and
# transpose_conv.cc, each `Prepare`, at f674577 (2026-08-21).
_ABOVE_0 = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _DILATED),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D", "TRANSPOSE_CONV"), _STRIDES),
}
_OF_BLOCKS = ("CONV_2D", "DEQUANTIZE", "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "GATHER")


def tflite_refusal(graph: Graph, op: Operator) -> Fault | None:
    """Why TFLite cannot prepare an operator that it runs itself; None where nothing is known against it."""
    if not op.inputs or op.inputs[0] < 0:
        return None
    if op.type == "BROADCAST_TO":
        return _broadcast_to(graph, op)
    if op.type == "SQUEEZE":
        return _squeeze(graph, op)
    return _window(op) or _blocks(graph, op)


def _window(op: Operator) -> Fault | None:
    for name in _ABOVE_0.get(op.type, ()):
        value = int(op.attributes.get(name, 0))
        if value < 1:
            return Fault(Wrong.WINDOW_BELOW_1, actual=value, subject=name)
    return None


def _broadcast_to(graph: Graph, op: Operator) -> Fault | None:
    """To fewer dimensions than there are: what the converter makes of tf.math.divide_no_nan of five dimensions, and so
    of a GroupNormalization of Keras 2 with a dynamic batch.

    Source: google-ai-edge/LiteRT tflite/kernels/broadcast_to.cc `ResizeOutputTensor`.
    """
    if len(op.inputs) < 2:
        return None
    source, target = (graph.tensors[t] for t in op.inputs[:2])
    if target.rank == 1 and not target.is_dynamic and target.shape[0] < source.rank:
        return Fault(Wrong.BROADCAST_TO_FEWER, source.rank, target.shape[0])
    return None


def _squeeze(graph: Graph, op: Operator) -> Fault | None:
    """Of dimensions that are not 1, or not there. Source: google-ai-edge/LiteRT tflite/kernels/squeeze.cc `Prepare`."""
    source = graph.tensors[op.inputs[0]]
    axes = [int(axis) for axis in op.attributes.get("squeeze_dims") or ()]
    if source.is_dynamic or not (source.shape or source.index in graph.inputs):
        return None
    if all(-source.rank <= axis < source.rank and source.shape[axis] == 1 for axis in axes):
        return None
    return Fault(Wrong.SQUEEZE_OF_MORE, actual=(tuple(axes), source.shape))


def _blocks(graph: Graph, op: Operator) -> Fault | None:
    """Quantization in blocks where the kernel looks for another: the process ends (seen in runs of ADD)."""
    quantized = (graph.tensors[t].quantization for t in op.inputs if t >= 0)
    if op.type not in _OF_BLOCKS and any(q is not None and q.details == BLOCKWISE for q in quantized):
        return Fault(Wrong.BLOCKS_NOT_READ, subject=op.type)
    return None
