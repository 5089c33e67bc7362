"""fp16 arithmetic: when the runtime uses it, and what it makes of a subgraph.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::Create` (since 6eb86b09,
2026-07-23, the delegate itself defines fp16 values); google/XNNPACK src/subgraph.c `xnn_subgraph_rewrite_for_fp16`
(before, XNNPACK converted the finished subgraph); tflite/converter/tools/optimize/reduced_precision_metadata.h.
"""

from __future__ import annotations

from collections.abc import Mapping

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.profile import Profile

METADATA = "reduced_precision_support"
# Filters and biases of these stay fp32; they are converted when they are packed.
_KEEPS_WEIGHTS = (NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D, NodeType.DECONVOLUTION_2D)
# Nodes that made XNNPACK's own rewrite give up.
_WITHOUT_FP16 = (NodeType.ARGMAX_POOLING_2D, NodeType.UNPOOLING_2D, NodeType.EXPAND_DIMS, NodeType.OTHER)


def allows_fp16(metadata: Mapping[str, bytes]) -> bool:
    """Whether a file says that it may run in fp16 and accumulate in fp16 ("fp16accfp16")."""
    text = bytes(metadata.get(METADATA, b"")).rstrip(b"\0").decode("ascii", "replace")
    kinds, _, accumulation = text.partition("acc")
    return "fp16" in kinds and accumulation.startswith("fp16")


def uses_fp16(metadata: Mapping[str, bytes], profile: Profile) -> bool:
    """Whether the runtime computes a model in fp16 where it can."""
    return bool(profile["fp16_arithmetic"]) and allows_fp16(metadata)


def can_become_fp16(subgraph: Subgraph) -> bool:
    """Whether XNNPACK's own rewrite takes a subgraph: every node has an fp32 value and a form in fp16."""
    return all(
        node.type not in _WITHOUT_FP16
        and any(subgraph.values[v].dtype == "fp32" for v in (*node.inputs, *node.outputs))
        for node in subgraph.nodes
    )


def to_fp16(subgraph: Subgraph, by_delegate: bool) -> None:
    """Turn the fp32 values of a subgraph into fp16, with convert nodes at its border.

    Args:
        by_delegate: the delegate defines the convert nodes first of all, as unary operators. XNNPACK's own rewrite puts
            nodes of a type of their own next to the first reader and behind the producer, and converts the weights
            of fully-connected nodes.
    """
    weights = {v for n in subgraph.nodes if n.type in _KEEPS_WEIGHTS for v in n.inputs[1:]}
    kind = (NodeType.UNARY, "convert") if by_delegate else (NodeType.CONVERT, "")
    inside: dict[int, int] = {}
    entering: dict[int, Node] = {}
    leaving: dict[int, Node] = {}
    for value in [v for v in subgraph.values if v.dtype == "fp32"]:
        if value.is_external:
            half = inside[value.id] = subgraph.new_value("fp16", value.shape).id
            op = _first_use(subgraph, value)
            if value.external_input:
                entering[half] = Node(kind[0], [value.id], [half], op, kind[1])
            if value.external_output:
                leaving[half] = Node(kind[0], [half], [value.id], op, kind[1])
        elif value.id not in weights:
            value.dtype = "fp16"
    nodes: list[Node] = []
    if by_delegate:
        nodes += (n for v in inside.values() for n in (entering.pop(v, None), leaving.pop(v, None)) if n)
    for node in subgraph.nodes:
        node.inputs = [inside.get(v, v) for v in node.inputs]
        node.outputs = [inside.get(v, v) for v in node.outputs]
        nodes += [entering.pop(v) for v in dict.fromkeys(node.inputs) if v in entering]
        nodes.append(node)
        nodes += [leaving.pop(v) for v in node.outputs if v in leaving]
    subgraph.nodes = nodes


def _first_use(subgraph: Subgraph, value: Value) -> int:
    return next((n.op for n in subgraph.nodes if value.id in (*n.inputs, *n.outputs)), 0)
