"""From a partition of the delegate to XNNPACK's values and nodes.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::Create` and `Visit*Node`, read at
f674577 (2026-08-21); google/XNNPACK src/subgraph/*.c, the `xnn_define_*` functions, read at 75db3c0 (2026-08-21).
"""

from __future__ import annotations

from dataclasses import replace

from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.delegate.delegation import Delegation, Partition
from xnnlint.xnnpack.ir import Subgraph
from xnnlint.xnnpack.lower import lower_layers, lower_shapes, lower_simple
from xnnlint.xnnpack.lower.lower_values import Lowering, define_tensors
from xnnlint.xnnpack.profile import Profile

__all__ = ["lower"]

_VISITORS = lower_simple.VISITORS | lower_layers.VISITORS | lower_shapes.VISITORS
_CUSTOM = lower_layers.CUSTOM_VISITORS
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def lower(graph: Graph, partition: Partition, delegation: Delegation, profile: Profile) -> Subgraph:
    """The XNNPACK subgraph that the delegate defines for one of its partitions, before any rewrite.

    Values come in the order of their ids (without the ids that XNNPACK reserves and never uses), nodes in that of the
    partition.
    """
    lowering = Lowering(graph, partition, delegation, profile, Subgraph([], [], partition.sparse_hint))
    define_tensors(lowering)
    for index in partition.ops:
        op = graph.operators[index]
        if index in delegation.skipped:
            continue
        if index in delegation.assumed:
            _assumed(lowering, op)
            continue
        visit = _CUSTOM[op.custom_code] if op.type == "CUSTOM" else _VISITORS[op.type]
        visit(lowering, op)
    return lowering.subgraph


def _assumed(lowering: Lowering, op: Operator) -> None:
    """An operator that XNNPACK doesn't take, as if it did: a layer with weights as what it is, without activation."""
    before = len(lowering.subgraph.nodes)
    if op.type in _LAYERS:
        try:
            _VISITORS[op.type](lowering, replace(op, attributes=op.attributes | {"fused_activation_function": "NONE"}))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            del lowering.subgraph.nodes[before:]
        else:
            for node in lowering.subgraph.nodes[before:]:
                node.operator = node.operator or "assumed"
            return
    lower_simple.assumed(lowering, op)
