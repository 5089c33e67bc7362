"""The layout pass on small subgraphs.

What is expected follows `xnn_subgraph_rewrite_for_nchw` in XNNPACK src/subgraph.c line by line: which nodes are linked,
which leaders become incompatible, what is counted, what is marked.
"""

from __future__ import annotations

import pytest

from tests.xnnpack.hand_built import HandBuilt
from xnnlint.xnnpack.conditions.registry import judge
from xnnlint.xnnpack.ir import Node, NodeType
from xnnlint.xnnpack.layout import Break, BreakCause, LayoutDecision, decide_layouts, passes_zeros_test
from xnnlint.xnnpack.profile import load_profile

ENOUGH, TOO_FEW = (10, 8), (10, 6)


def decide(g: HandBuilt, *weights: tuple[int, int]) -> LayoutDecision:
    """Run the pass with (elements, zeros) of the nodes that are asked for their weights, in order."""
    verdicts = [judge(node, g.subgraph, load_profile()).verdict for node in g.subgraph.nodes]
    counted = iter(weights)
    return decide_layouts(g.subgraph, verdicts, lambda node: next(counted))


def breaks(decision: LayoutDecision) -> list[Break]:
    return [b for cluster in decision.clusters for b in cluster.broken_by.values()]


def test_a_cluster_is_marked_between_its_stem_and_its_end() -> None:
    g = HandBuilt()
    image = g.input(1, 12, 20, 3)
    x = g.stem(image, 1, 6, 10, 8)
    y = g.pointwise(x, 16)
    z = g.clamp(y)
    g.output(g.mean(z))
    decision = decide(g, ENOUGH)
    # Inputs of nodes in NCHW are marked: not what the stem reads, nor what the end writes.
    assert decision.armed and g.marked == {x, y, z}
    (cluster,) = decision.clusters
    assert (cluster.nodes, cluster.params, cluster.zeros, cluster.broken_by) == ([0, 1, 2, 3], 10, 8, {})


def test_without_an_end_nothing_is_looked_at() -> None:
    g = HandBuilt()
    g.output(g.pointwise(g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8), 16))
    decision = decide(g)
    assert not decision.armed and decision.clusters == [] and g.marked == set()


def test_an_end_whose_producer_cannot_run_in_nchw_arms_nothing() -> None:
    g = HandBuilt()
    g.output(g.mean(g.max_pool(g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8))))
    assert not decide(g).armed and g.marked == set()


@pytest.mark.parametrize(("weights", "passes"), [([(3, 2)], False), ([(3, 3)], True), ([(3, 0), (9, 9)], True)])
def test_more_than_two_thirds_of_all_weights_together_must_be_zero(
    weights: list[tuple[int, int]], passes: bool
) -> None:
    g = HandBuilt()
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    for _ in weights:
        x = g.pointwise(x, 16)
    g.output(g.mean(x))
    decision = decide(g, *weights)
    assert decision.clusters[0].enough_zeros is passes and bool(g.marked) is passes


def test_two_thirds_are_not_enough_and_one_more_is() -> None:
    assert not passes_zeros_test(2, 3) and not passes_zeros_test(256, 384) and passes_zeros_test(257, 384)
    assert not passes_zeros_test(0, 0), "a cluster without weights stays as it is"


def test_weights_of_larger_kernels_do_not_count() -> None:
    """`xnn_subgraph_rewrite_for_nchw` counts convolutions of max(kernel_height, kernel_width) == 1 only."""
    g = HandBuilt()
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    g.output(g.mean(g.pointwise(x, 16)))
    asked: list[Node] = []
    verdicts = [judge(node, g.subgraph, load_profile()).verdict for node in g.subgraph.nodes]
    decide_layouts(g.subgraph, verdicts, lambda node: asked.append(node) or ENOUGH)
    assert [node.type for node in asked] == [NodeType.FULLY_CONNECTED]


def test_a_reader_outside_takes_the_whole_cluster_back() -> None:
    g = HandBuilt()
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    y = g.pointwise(x, 16)
    g.output(g.mean(y), g.max_pool(y))
    decision = decide(g, ENOUGH)
    assert breaks(decision) == [Break(BreakCause.VALUE, value=y)] and g.marked == set()


def test_an_output_inside_is_an_external_value_to_its_reader() -> None:
    g = HandBuilt()
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    y = g.pointwise(x, 16)
    z = g.pointwise(y, 16)
    g.output(y, g.mean(z))
    decision = decide(g, ENOUGH, ENOUGH)
    # Node 2 is incompatible by itself, and node 3 since its producer is; node 1 leads a cluster of its own.
    assert decision.cluster_of[2].broken_by[2] == Break(BreakCause.EXTERNAL)
    assert g.marked == {x}


def test_a_member_that_cannot_be_linked_takes_its_leader_along() -> None:
    g = HandBuilt()
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    a = g.clamp(x)
    b = g.add(a, g.max_pool(g.input(1, 12, 20, 8)))
    g.output(g.mean(b))
    decision = decide(g)
    assert set(decision.cluster_of[3].broken_by.values()) >= {Break(BreakCause.PRODUCER)}
    assert all(b.cause in (BreakCause.PRODUCER, BreakCause.MEMBER) for b in breaks(decision))
    assert {b.node for b in breaks(decision) if b.cause is BreakCause.MEMBER} <= {3, 4}
    assert g.marked == set()


@pytest.mark.parametrize("counts_repeats", [False, True])
def test_a_value_read_twice_breaks_its_cluster_where_it_is_counted_once(counts_repeats: bool) -> None:
    """num_nchw_compatible_consumers goes up per input, num_consumers per node since 0aa15678 (2025-06-27)."""
    g = HandBuilt()
    g.subgraph.counts_repeats = counts_repeats
    x = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    y = g.pointwise(x, 16)
    g.output(g.mean(g.add(y, y)))
    decision = decide(g, ENOUGH)
    assert breaks(decision) == ([] if counts_repeats else [Break(BreakCause.VALUE, value=y)])
    assert (y in g.marked) is counts_repeats


def test_clusters_are_judged_apart() -> None:
    g = HandBuilt()
    a = g.stem(g.input(1, 12, 20, 3), 1, 6, 10, 8)
    b = g.stem(g.input(1, 8, 8, 3), 1, 4, 4, 8)
    g.output(g.mean(g.pointwise(a, 16)), g.mean(g.pointwise(b, 16)))
    decision = decide(g, ENOUGH, TOO_FEW)
    assert len(decision.clusters) == 2 and a in g.marked and b not in g.marked
