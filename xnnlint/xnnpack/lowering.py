"""From a partition of the delegate to XNNPACK's values and nodes.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::Create` and `Visit*Node`, read at
f674577 (2026-08-21); google/XNNPACK src/subgraph/*.c, the `xnn_define_*` functions, read at 75db3c0 (2026-08-21).
"""

from __future__ import annotations

from xnnlint.graph import Graph
from xnnlint.xnnpack import lower_layers, lower_shapes, lower_simple
from xnnlint.xnnpack.delegation import Delegation, Partition
from xnnlint.xnnpack.ir import Subgraph
from xnnlint.xnnpack.lower_values import Lowering, define_tensors
from xnnlint.xnnpack.profile import Profile

__all__ = ["lower"]

_VISITORS = lower_simple.VISITORS | lower_layers.VISITORS | lower_shapes.VISITORS
_CUSTOM = lower_layers.CUSTOM_VISITORS


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
            lower_simple.assumed(lowering, op)
            continue
        visit = _CUSTOM[op.custom_code] if op.type == "CUSTOM" else _VISITORS[op.type]
        visit(lowering, op)
    return lowering.subgraph
