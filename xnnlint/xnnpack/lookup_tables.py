"""Chains of elementwise operators between 8-bit values, which XNNPACK computes once for all 256 and then looks up.

Source: google/XNNPACK src/subgraph.c `xnn_subgraph_fuse_unary_quantized_into_lut`, `is_pure_unary_elementwise`.
"""

from __future__ import annotations

from xnnlint.xnnpack.ir import Node, NodeType, Subgraph, Value

LOOKUP = "lookup"
"""The `operator` of the node that a chain becomes."""
_LONGEST = 10
_EIGHT_BITS = ("qint8", "quint8")


def fuse_into_lookup_tables(subgraph: Subgraph) -> None:
    """Replace each chain by one node, in place: DEQUANTIZE, SQRT and QUANTIZE, say, or MUL and SUB of constants."""
    produced = {v for node in subgraph.nodes for v in node.outputs}
    counts = subgraph.consumer_counts()
    removed: set[int] = set()
    for node in subgraph.nodes:
        chain = [] if id(node) in removed else _chain(subgraph, node, counts, produced)
        if len(chain) > 1:
            first, last = _input(subgraph, chain[0], set(), produced), chain[-1]
            assert first is not None
            last.type, last.operator, last.params, last.inputs = NodeType.UNARY, LOOKUP, {}, [first]
            removed |= {id(fused) for fused in chain[:-1]}
    subgraph.nodes = [node for node in subgraph.nodes if id(node) not in removed]


def _chain(subgraph: Subgraph, node: Node, counts: dict[int, int], produced: set[int]) -> list[Node]:
    """The nodes of a chain that starts at a node with an 8-bit input and ends at one with an 8-bit output."""
    first = _input(subgraph, node, set(), produced)
    if first is None or subgraph.values[first].dtype not in _EIGHT_BITS:
        return []
    chain: list[Node] = []
    seen: set[int] = set()
    following: Node | None = node
    while following is not None and len(chain) < _LONGEST and _input(subgraph, following, seen, produced) is not None:
        chain.append(following)
        seen |= {*following.inputs, *following.outputs}
        output = following.outputs[0]
        only = counts[output] == 1
        following = next((n for n in subgraph.nodes if output in n.inputs), None) if only else None
    while chain and subgraph.values[chain[-1].outputs[0]].dtype not in _EIGHT_BITS:
        chain.pop()
    return chain


def _input(subgraph: Subgraph, node: Node, seen: set[int], produced: set[int]) -> int | None:
    """The value of which a node is an elementwise function; None where it is one of none, or of two."""
    if node.params.get("assumed") or node.operator == "assumed":
        return None
    if node.type == NodeType.UNARY:
        return node.inputs[0] if len(node.inputs) == 1 and node.operator != LOOKUP else None
    if node.type != NodeType.BINARY:
        return None
    a, b = (subgraph.values[v] for v in node.inputs)
    if _is_one_constant(a, produced) and not b.is_static:
        return b.id
    if _is_one_constant(b, produced) and not a.is_static:
        return a.id
    return a.id if {a.id, b.id} <= seen else None


def _is_one_constant(value: Value, produced: set[int]) -> bool:
    return value.is_static and value.elements == 1 and not value.external_input and value.id not in produced
