"""Multiply-accumulates of one inference; a dynamic dimension counts as 1, and zeros count as other weights do."""

from __future__ import annotations

import math

from xnnlint.model.graph import Graph, Operator

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D")


def total_macs(graph: Graph) -> int:
    """Those of all convolutions, matrix products and fully-connected operators of a graph."""
    return sum(macs_of(graph, op) for op in graph.operators)


def macs_of(graph: Graph, op: Operator) -> int:
    """Those of one operator; 0 for an operator without weights or matrices, or with shapes that say nothing."""
    if op.type not in (*_WEIGHTED, "BATCH_MATMUL") or not op.outputs:
        return 0
    first, second, output = graph.input_tensor(op, 0), graph.input_tensor(op, 1), graph.output_tensor(op)
    if first is None or second is None or not second.shape or not output.shape:
        return 0
    if op.type == "BATCH_MATMUL":
        depth = -2 if op.attributes.get("adj_x") else -1
        return math.prod(output.shape) * first.shape[depth] if first.rank > 1 else 0
    if op.type == "TRANSPOSE_CONV":
        image = graph.input_tensor(op, 2)
        return math.prod(image.shape[:-1]) * math.prod(second.shape) if image is not None else 0
    if op.type == "FULLY_CONNECTED":
        return math.prod(output.shape) * second.shape[-1]
    return math.prod(output.shape[:-1]) * math.prod(second.shape)


def pointwise_macs(graph: Graph, op: Operator) -> int:
    """Those of a 1x1 convolution or fully-connected operator of which it is known that it is one."""
    weights = graph.tensors[op.inputs[1]]
    pixels = math.prod(graph.tensors[op.outputs[0]].shape[:-1])
    return max(pixels, 1) * weights.shape[0] * weights.shape[-1]
