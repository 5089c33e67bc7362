"""What is assumed between operators stands where it would stand in the file."""

from __future__ import annotations

from xnnlint.xnnpack.assumed_nodes import insert_assumed_ends
from xnnlint.xnnpack.conditions.node_condition import NodeCondition, Verdict
from xnnlint.xnnpack.conditions.registry import Judgement
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

INSIDE, OUTSIDE = Judgement(NodeCondition(), Verdict(Layout.NCHW)), Judgement(NodeCondition(), Verdict())


def inserted(*assumed: tuple[WaiverKind, int]) -> list[tuple[str, list[int], list[int]]]:
    """(type, inputs, outputs) of 0 -> a -> 1 -> b -> 2, which c (outside) and d read together with 1 and 2."""
    values = [Value(n, "fp32", (1, 4, 4, 2), tensor=n) for n in range(5)]
    values[4].external_output = True
    a, b = Node("a", [0], [1], 10), Node("b", [1], [2], 11)
    c, d = Node("c", [1, 2], [3], 12), Node("d", [2, 1], [4], 13)
    subgraph = Subgraph(values, [a, b, c, d])
    own = {id(a): INSIDE, id(b): INSIDE, id(c): OUTSIDE, id(d): INSIDE}
    insert_assumed_ends(subgraph, own, frozenset(Waiver(kind, place) for kind, place in assumed))
    return [(node.type, node.inputs, node.outputs) for node in subgraph.nodes]


def test_an_end_is_read_by_what_is_outside_and_stands_behind_the_writer() -> None:
    assert inserted((WaiverKind.EXIT, 1), (WaiverKind.EXIT, 2)) == [
        ("a", [0], [1]),
        (NodeType.DEPTH_TO_SPACE_2D, [1], [5]),
        ("b", [1], [2]),
        (NodeType.DEPTH_TO_SPACE_2D, [2], [6]),
        ("c", [5, 6], [3]),
        ("d", [2, 1], [4]),
    ]


def test_an_output_leaves_through_its_end_and_a_value_without_readers_outside_needs_none() -> None:
    assert inserted((WaiverKind.EXIT, 4), (WaiverKind.EXIT, 3)) == [
        ("a", [0], [1]),
        ("b", [1], [2]),
        ("c", [1, 2], [3]),
        ("d", [2, 1], [4]),
        (NodeType.DEPTH_TO_SPACE_2D, [4], [5]),
    ]


def test_stems_stand_in_front_of_the_first_reader_in_the_order_of_their_values() -> None:
    stem = NodeType.CONVOLUTION_2D
    assert inserted((WaiverKind.ENTRY, 2), (WaiverKind.ENTRY, 0)) == [
        (stem, [0], [5]),
        ("a", [5], [1]),
        ("b", [1], [2]),
        (stem, [2], [6]),
        ("c", [1, 6], [3]),
        ("d", [6, 1], [4]),
    ]


def test_what_is_put_behind_one_value_is_met_in_its_order() -> None:
    """A RESHAPE, whose readers then read no end, and a stem in front of it, since it is the first reader."""
    assert inserted((WaiverKind.RESHAPE, 1), (WaiverKind.EXIT, 1), (WaiverKind.ENTRY, 1)) == [
        ("a", [0], [1]),
        (NodeType.CONVOLUTION_2D, [1], [6]),
        (NodeType.RESHAPE, [6], [5]),
        ("b", [5], [2]),
        ("c", [5, 2], [3]),
        ("d", [2, 5], [4]),
    ]
