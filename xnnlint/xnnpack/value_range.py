"""Which numbers a value can hold at most, from the clamps before it."""

from __future__ import annotations

from math import inf

from xnnlint.xnnpack.ir import NodeType, Subgraph

# Every element of their output lies between the smallest and the largest element of their input.
_BETWEEN_INPUTS = (
    NodeType.MEAN,
    NodeType.REDUCE_MAX,
    NodeType.REDUCE_MIN,
    NodeType.GLOBAL_AVERAGE_POOLING_2D,
    NodeType.RESIZE_BILINEAR,
    NodeType.DEPTH_TO_SPACE_2D,
    NodeType.RESHAPE,
    NodeType.COPY,
)


def value_range(subgraph: Subgraph, value: int) -> tuple[float, float]:
    """The smallest and the largest number that a computed value can hold; infinite where that is not known."""
    writers = subgraph.producers()
    while value in writers:
        node = subgraph.nodes[writers[value]]
        if node.operator == "clamp":
            return node.params["min"], node.params["max"]
        if node.type not in _BETWEEN_INPUTS:
            return node.activation
        value = node.inputs[0]
    return -inf, inf
