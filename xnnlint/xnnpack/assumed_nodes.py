"""What is assumed to stand between operators, put into a subgraph to ask what it would change."""

from __future__ import annotations

from typing import Any

from xnnlint.xnnpack.conditions.registry import Judgement
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.waiver import Waiver, WaiverKind


def insert_assumed_ends(subgraph: Subgraph, own: dict[int, Judgement], assumed: frozenset[Waiver]) -> None:
    """Put what is assumed to stand between operators into a subgraph, as nodes that only pass values on.

    Args:
        own: per node (by `id`), what its condition says of it without any assumption.
    """
    exits = {i for kind, i in assumed if kind is WaiverKind.EXIT}
    entries = {i for kind, i in assumed if kind is WaiverKind.ENTRY}
    reshapes = {i for kind, i in assumed if kind is WaiverKind.RESHAPE}
    for value in list(subgraph.values) if exits or entries or reshapes else ():
        if value.tensor in reshapes and not value.is_static:
            _insert_reshape(subgraph, value)
        if value.tensor in exits and not value.is_static:
            _insert_exit(subgraph, value, own)
        if value.tensor in entries and not value.is_static:
            _insert_entry(subgraph, value)


def _insert_exit(subgraph: Subgraph, value: Value, own: dict[int, Judgement]) -> None:
    """Let every reader outside the cluster read a value through a cluster end."""
    position = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.outputs), None)
    if position is None:
        return
    outside = [n for n in subgraph.nodes if value.id in n.inputs and id(n) in own and not own[id(n)].verdict.layout]
    if not outside and not value.external_output:
        return  # Nobody would read it there, and the runtime would not run it.
    ended = subgraph.new_value(value.dtype, value.shape, external_output=value.external_output)
    value.external_output = False
    for node in outside:
        node.inputs = [ended.id if v == value.id else v for v in node.inputs]
    op = subgraph.nodes[position].op
    end = Node(NodeType.DEPTH_TO_SPACE_2D, [value.id], [ended.id], op, params={"assumed": True})
    subgraph.nodes.insert(position + 1, end)


def _insert_reshape(subgraph: Subgraph, value: Value) -> None:
    """Let every reader read a value through a RESHAPE that keeps its shape."""
    position = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.outputs), None)
    if position is None:
        return
    reshaped = subgraph.new_value(value.dtype, value.shape, external_output=value.external_output)
    value.external_output = False
    for node in subgraph.nodes:
        node.inputs = [reshaped.id if v == value.id else v for v in node.inputs]
    op = subgraph.nodes[position].op
    params = {"assumed": True, "new_shape": value.shape}
    subgraph.nodes.insert(position + 1, Node(NodeType.RESHAPE, [value.id], [reshaped.id], op, params=params))


def _insert_entry(subgraph: Subgraph, value: Value) -> None:
    """Let every reader read a value through a stem that enters the cluster."""
    first = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.inputs), None)
    if first is None:
        return
    entered = subgraph.new_value(value.dtype, value.shape)
    op = subgraph.nodes[first].op
    for node in subgraph.nodes:
        node.inputs = [entered.id if v == value.id else v for v in node.inputs]
    stem = Node(NodeType.CONVOLUTION_2D, [value.id], [entered.id], op, params=dict(_ASSUMED_STEM))
    subgraph.nodes.insert(first, stem)


_ASSUMED_STEM: dict[str, Any] = {
    "kernel": (3, 3),
    "stride": (2, 2),
    "dilation": (1, 1),
    "padding": (1, 1, 1, 1),
    "same_padding": False,
    "groups": 1,
    "group_input_channels": 3,
    "group_output_channels": 3,
    "assumed": True,
}
