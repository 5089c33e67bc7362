"""What is assumed to stand between operators, put into a subgraph to ask what it would change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    if not (exits or entries or reshapes):
        return
    insertion = _Insertion(subgraph, own)
    for value in list(subgraph.values):
        if value.is_static:
            continue
        if value.tensor in reshapes:
            insertion.reshape(value)
        if value.tensor in exits:
            insertion.exit(value)
        if value.tensor in entries:
            insertion.entry(value)
    insertion.finish()


class _Insertion:
    """Puts nodes into a subgraph: where each goes is noted, and in the end all go there together."""

    def __init__(self, subgraph: Subgraph, own: dict[int, Judgement]) -> None:
        self._subgraph, self._own = subgraph, own
        self._places = {id(node): float(n) for n, node in enumerate(subgraph.nodes)}
        self._writers: dict[int, Node] = {}
        self._readers: dict[int, list[Node]] = {}
        for node in subgraph.nodes:
            for v in node.outputs:
                self._writers.setdefault(v, node)
            for v in dict.fromkeys(node.inputs):
                self._readers.setdefault(v, []).append(node)
        # By node (`id`), what comes directly in front of it and behind it.
        self._before: dict[int, list[Node]] = {}
        self._behind: dict[int, list[Node]] = {}

    def exit(self, value: Value) -> None:
        """Let every reader outside the cluster read a value through a cluster end."""
        outside = [n for n in self._readers.get(value.id, ()) if self._is_outside(n)]
        if not outside and not value.external_output:
            return  # Nobody would read it there, and the runtime would not run it.
        self._insert_behind(value, outside, NodeType.DEPTH_TO_SPACE_2D)

    def reshape(self, value: Value) -> None:
        """Let every reader read a value through a RESHAPE that keeps its shape."""
        readers = self._readers.get(value.id, ())
        self._insert_behind(value, readers, NodeType.RESHAPE, new_shape=value.shape)

    def entry(self, value: Value) -> None:
        """Let every reader read a value through a stem that enters the cluster."""
        readers = self._readers.get(value.id)
        if not readers:
            return
        first = min(readers, key=lambda node: self._places[id(node)])
        entered = self._subgraph.new_value(value.dtype, value.shape)
        self._let_read(readers, value, entered)
        stem = Node(NodeType.CONVOLUTION_2D, [value.id], [entered.id], first.op, params=dict(_ASSUMED_STEM))
        self._before.setdefault(id(first), []).append(stem)

    def finish(self) -> None:
        """Puts the nodes in."""
        self._subgraph.nodes[:] = [made for node in self._subgraph.nodes for made in self._around(node)]

    def _insert_behind(self, value: Value, readers: Iterable[Node], node_type: str, **params: Any) -> None:
        writer = self._writers.get(value.id)
        if writer is None:
            return
        made = self._subgraph.new_value(value.dtype, value.shape, external_output=value.external_output)
        value.external_output = False
        self._let_read(readers, value, made)
        node = Node(node_type, [value.id], [made.id], writer.op, params={"assumed": True, **params})
        self._readers.setdefault(value.id, []).append(node)
        self._places[id(node)] = self._places[id(writer)] + 0.5
        self._behind.setdefault(id(writer), []).insert(0, node)

    def _let_read(self, readers: Iterable[Node], old: Value, new: Value) -> None:
        moved = list(readers)
        for node in moved:
            node.inputs = [new.id if v == old.id else v for v in node.inputs]
        self._readers[new.id] = moved
        gone = {id(node) for node in moved}
        self._readers[old.id] = [node for node in self._readers.get(old.id, ()) if id(node) not in gone]

    def _is_outside(self, node: Node) -> bool:
        return id(node) in self._own and not self._own[id(node)].verdict.layout

    def _around(self, node: Node) -> Iterator[Node]:
        yield from self._before.get(id(node), ())
        yield node
        for end in self._behind.get(id(node), ()):
            yield from self._around(end)


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
