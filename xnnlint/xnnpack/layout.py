"""Which values XNNPACK lays out in NCHW: the cluster algorithm of `xnn_subgraph_rewrite_for_nchw`, step by step.

Source: google/XNNPACK src/subgraph.c `xnn_check_nchw_compatibility` (its conditions stand in `conditions`) and
`xnn_subgraph_rewrite_for_nchw`. The runtime's bookkeeping is kept as it is, quirks included: a node's cluster is named
by its leader, and a cluster is out when its leader is, which depends on the order of the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from msgspec import Struct, field

from xnnlint.xnnpack.conditions.node_condition import Verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph


class BreakCause(Enum):
    """Why the runtime leaves a node, and with it a whole cluster, in NHWC."""

    EXTERNAL = "external"
    """It reads a value from outside of the partition."""
    PRODUCER = "producer"
    """It reads a value whose producer is not part of the cluster."""
    MEMBER = "member"
    """Another node of its cluster cannot be part of it."""
    VALUE = "value"
    """A value of its cluster is read by a node outside, or is an output, too."""


class Break(NamedTuple):
    """What breaks a cluster: `node` is the index of the member at fault, `value` the id of the value, if it is one."""

    cause: BreakCause
    node: int | None = None
    value: int | None = None


NUMERATOR, DENOMINATOR = 2, 3
THRESHOLD = NUMERATOR / DENOMINATOR
"""More than this share of a cluster's weights must be zero: `xnn_subgraph_rewrite_for_nchw`."""


def passes_zeros_test(zeros: int, weights: int) -> bool:
    """Whether strictly more than two thirds of so many weights are zero."""
    return DENOMINATOR * zeros > NUMERATOR * weights


class Cluster(Struct):
    """Nodes that the runtime switches to NCHW together, or not at all.

    Attributes:
        leader: index of the node that names it.
        nodes: indices of its nodes that can run in NCHW.
        params, zeros: elements and zeros of the weights that count in the two-thirds test.
        broken_by: why the runtime leaves it in NHWC, by node index. Empty for a cluster that passed.
        enough_zeros: whether strictly more than two thirds of the weights are zero.
    """

    leader: int
    nodes: list[int] = field(default_factory=list)
    params: int = 0
    zeros: int = 0
    broken_by: dict[int, Break] = field(default_factory=dict)

    @property
    def enough_zeros(self) -> bool:
        return passes_zeros_test(self.zeros, self.params)


class LayoutDecision(Struct):
    """The outcome of the layout pass for one subgraph; `Value.nchw` holds the layouts themselves.

    Attributes:
        verdicts: per node, what its condition said.
        armed: whether any cluster end has a producer that can run in NCHW; else nothing else happens.
        clusters: the clusters, by leader.
    """

    verdicts: list[Verdict]
    armed: bool
    clusters: list[Cluster]
    cluster_of: dict[int, Cluster]


# Plain numbers: the pass asks for them hundreds of thousands of times when a large model is planned again and again.
_NCHW, _ENTRY, _EXIT = Layout.NCHW.value, Layout.ENTRY.value, Layout.EXIT.value
_EXTERNAL = -1
_OUTSIDE, _NOT_INSIDE = Break(BreakCause.EXTERNAL), Break(BreakCause.PRODUCER)


class DisjointSets:
    """Numbers from 0 that are joined into sets."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def root(self, n: int) -> int:
        """The number that stands for the set of another."""
        above = self._above
        while above[n] != n:
            above[n] = n = above[above[n]]
        return n

    def join(self, a: int, b: int) -> None:
        self._above[self.root(a)] = self.root(b)


class _Pass:
    """The state of one run of the pass: one entry per node, as `struct xnn_node` has it."""

    def __init__(self, subgraph: Subgraph, flags: list[Layout]) -> None:
        self.subgraph = subgraph
        self.flags = [f.value for f in flags]
        self.leader = list(range(len(subgraph.nodes)))
        self.bad: dict[int, Break] = {}
        producer = subgraph.producers()
        self.sources = [
            [_EXTERNAL if v.is_external else producer.get(v.id, _EXTERNAL) for v in subgraph.dynamic_inputs(node)]
            for node in subgraph.nodes
        ]

    def link(self, n: int) -> bool:
        """Join a node with the producers of its inputs, or mark it as incompatible; whether a leader changed."""
        updated = False
        flags, leader, bad = self.flags, self.leader, self.bad
        for p in self.sources[n]:
            if p == _EXTERNAL:
                bad.setdefault(n, _OUTSIDE)
            elif p in bad or not flags[p] & (_NCHW | _ENTRY):
                bad.setdefault(n, _NOT_INSIDE)
            else:
                flags[p] &= ~_EXIT
                if leader[p] != leader[n]:
                    leader[p] = leader[n] = max(leader[p], leader[n])
                    updated = True
        return updated

    def may_link(self, n: int) -> bool:
        return n not in self.bad and bool(self.flags[n] & (_NCHW | _EXIT))

    def is_live(self, n: int) -> bool:
        return self.leader[n] not in self.bad and bool(self.flags[n] & (_NCHW | _EXIT))

    def live_inputs(self, n: int) -> list[int]:
        return [v for v in self.subgraph.nodes[n].inputs if not self.subgraph.values[v].is_static]


def decide_layouts(
    subgraph: Subgraph,
    verdicts: list[Verdict],
    weights: Callable[[Node], tuple[int, int]],
) -> LayoutDecision:
    """Run the pass: set `nchw` on the values of the subgraph, and tell why where it is not set.

    Args:
        verdicts: per node, whether it can run in NCHW.
        weights: (elements, zeros) of a node's weights, as the runtime counts them.
    """
    nodes = subgraph.nodes
    state = _Pass(subgraph, [v.layout for v in verdicts])
    # A comparison of lists would stop at the first update; every node must be linked.
    armed = any([state.link(n) for n in range(len(nodes)) if state.flags[n] & _EXIT])
    clusters: dict[int, Cluster] = {}
    if armed:
        _spread(state)
        _reject_values_read_from_outside(state)
        clusters = _count_weights(state, weights)
        _set_layouts(state, clusters)
    cluster_of = {n: c for c in clusters.values() for n in c.nodes}
    return LayoutDecision(verdicts, armed, list(clusters.values()), cluster_of)


def _spread(state: _Pass) -> None:
    """Spread leaders from node to node until nothing changes, then hand incompatibility to the leaders.

    The runtime sweeps over all nodes again and again. Producers come before their readers, so that the first sweep
    says for good which nodes are incompatible; what the others do is give both ends of a link the greater leader until
    all that hang together have the greatest, which is found at once here.
    """
    for n in range(len(state.subgraph.nodes)):
        if state.may_link(n):
            state.link(n)
    groups = DisjointSets(len(state.subgraph.nodes))
    for n in range(len(state.subgraph.nodes)):
        if state.may_link(n):
            for p in state.sources[n]:
                groups.join(n, p)
    greatest: dict[int, int] = {}
    roots = [groups.root(n) for n in range(len(state.subgraph.nodes))]
    for n, root in enumerate(roots):
        greatest[root] = max(greatest.get(root, -1), state.leader[n])
    state.leader = [greatest[root] for root in roots]
    for n in range(len(state.subgraph.nodes)):
        if n in state.bad:
            state.bad.setdefault(state.leader[n], Break(BreakCause.MEMBER, node=n))


def _reject_values_read_from_outside(state: _Pass) -> None:
    """A value read by a node of the cluster and by one outside (or exposed as an output) breaks the whole cluster."""
    live = [n for n in range(len(state.subgraph.nodes)) if state.is_live(n)]
    readers: dict[int, int] = {}
    for n in live:
        for v in state.live_inputs(n):
            readers[v] = readers.get(v, 0) + 1
    counts = state.subgraph.consumer_counts()
    for n in live:
        if state.leader[n] in state.bad:
            continue
        for v in state.live_inputs(n):
            if readers[v] != counts[v]:
                state.bad.setdefault(state.leader[n], Break(BreakCause.VALUE, value=v))


def _count_weights(state: _Pass, weights: Callable[[Node], tuple[int, int]]) -> dict[int, Cluster]:
    clusters: dict[int, Cluster] = {}
    for n in range(len(state.subgraph.nodes)):
        if not state.flags[n]:
            continue
        leader = state.leader[n]
        led = clusters.setdefault(leader, Cluster(leader))
        led.nodes.append(n)
        if n in state.bad:
            led.broken_by[n] = state.bad[n]
        if leader in state.bad:
            led.broken_by.setdefault(leader, state.bad[leader])
    for n, node in enumerate(state.subgraph.nodes):
        cluster = clusters.get(state.leader[n])
        is_pointwise = node.type == NodeType.CONVOLUTION_2D and max(node.params["kernel"]) == 1
        if cluster is None or not (is_pointwise or node.type == NodeType.FULLY_CONNECTED):
            continue
        params, zeros = weights(node)
        cluster.params += params
        cluster.zeros += zeros
    return clusters


def _set_layouts(state: _Pass, clusters: dict[int, Cluster]) -> None:
    for n in range(len(state.subgraph.nodes)):
        cluster = clusters.get(state.leader[n])
        if cluster is not None and state.is_live(n) and cluster.enough_zeros:
            for v in state.live_inputs(n):
                state.subgraph.values[v].nchw = True
