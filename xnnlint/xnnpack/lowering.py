"""From a partition of the delegate to XNNPACK's values and nodes.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::Create` and `Visit*Node`, read at
f674577 (2026-08-21); google/XNNPACK src/subgraph/*.c, the `xnn_define_*` functions, read at 75db3c0 (2026-08-21).
"""

from __future__ import annotations

from msgspec.structs import replace

from xnnlint.errors import NotSupported
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.delegate.accept_checks import number
from xnnlint.xnnpack.delegate.delegation import Delegation, Partition
from xnnlint.xnnpack.ir import Subgraph
from xnnlint.xnnpack.lower import lower_simple
from xnnlint.xnnpack.lower.lower_values import Lowering, define_tensors
from xnnlint.xnnpack.operators import OPERATORS, delegate_operator
from xnnlint.xnnpack.profile import Profile

_WEIGHTS_RANK = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 2}


def lower(graph: Graph, partition: Partition, delegation: Delegation, profile: Profile) -> Subgraph:
    """The XNNPACK subgraph that the delegate defines for one of its partitions, before any rewrite.

    Values come in the order of their ids (without the ids that XNNPACK reserves and never uses), nodes in that of the
    partition.
    """
    lowering = Lowering(graph, partition, delegation, profile, Subgraph([], [], partition.sparse_hint))
    define_tensors(lowering, _value_slots)
    for index in partition.ops:
        op = graph.operators[index]
        if index in delegation.skipped:
            continue
        if index in delegation.assumed:
            _assumed(lowering, op)
            continue
        known = delegate_operator(op.type, op.custom_code)
        assert known is not None, f"{op} was accepted, and nobody knows it"
        known.lower(lowering, op)
    return lowering.subgraph


def _value_slots(op: Operator) -> tuple[int, ...] | None:
    known = delegate_operator(op.type, op.custom_code)
    return known.values if known is not None else None


def _assumed(lowering: Lowering, op: Operator) -> None:
    """An operator that XNNPACK doesn't take, as if it did: a layer with weights as what it is, without activation."""
    try:
        layer = _as_layer(lowering, op)
    except NotSupported:
        lower_simple.assumed(lowering, op)
        return
    before = len(lowering.subgraph.nodes)
    OPERATORS[op.type].lower(lowering, layer)
    for node in lowering.subgraph.nodes[before:]:
        node.operator = node.operator or "assumed"


def _as_layer(lowering: Lowering, op: Operator) -> Operator:
    """The operator without its activation, if it has what the node of its type is made from.

    Raises:
        NotSupported: it is no layer with weights, or one of which no node can be made.
    """
    rank = _WEIGHTS_RANK.get(op.type)
    if rank is None:
        raise NotSupported(f"{op.type} is no layer with weights")
    tensors = lowering.graph.tensors
    if len(op.inputs) < 2 or not op.outputs or min(*op.inputs[:2], op.outputs[0]) < 0:
        raise NotSupported("its values, weights or output are left out")
    x, weights = tensors[op.inputs[0]], tensors[op.inputs[1]]
    if weights.rank != rank or (rank == 4 and x.rank != 4):
        raise NotSupported(f"values of rank {x.rank} and weights of rank {weights.rank}")
    if 0 in weights.shape:
        raise NotSupported("weights without elements")
    if op.type == "CONV_2D" and x.shape[3] < weights.shape[3]:
        raise NotSupported("fewer channels than one group has")
    if op.type == "DEPTHWISE_CONV_2D" and not number(op, "depth_multiplier"):
        raise NotSupported("depth multiplier 0")
    return replace(op, attributes=op.attributes | {"fused_activation_function": "NONE"})
