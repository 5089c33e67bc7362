"""Whether a model, or a part of it, was pruned at all; asked by the rules about weights."""

from __future__ import annotations

from dataclasses import dataclass

from xnnlint.xnnpack.ir import Node, NodeType
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, Cluster
from xnnlint.xnnpack.plan import PartitionPlan, Plan, is_pointwise

from ._branches import capable

# A larger share of zeros than training leaves behind by itself; below it a model counts as not pruned yet.
PRUNED_SHARE = 0.10
THRESHOLD = f"{100 * NUMERATOR / DENOMINATOR:.1f}%"


@dataclass(frozen=True, slots=True)
class Weights:
    """Filters of 1x1 convolutions: operator index -> (elements, zeros)."""

    by_op: dict[int, tuple[int, int]]

    @property
    def elements(self) -> int:
        return sum(e for e, _ in self.by_op.values())

    @property
    def zeros(self) -> int:
        return sum(z for _, z in self.by_op.values())

    @property
    def share(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0

    @property
    def are_pruned(self) -> bool:
        return self.share >= PRUNED_SHARE


def lacking(zeros: int, elements: int) -> int:
    """How many more zeros it takes to pass it."""
    return elements * NUMERATOR // DENOMINATOR + 1 - zeros


def weights_of(plan: Plan, ops: list[int]) -> Weights:
    assert plan.planner is not None
    return Weights({op: plan.planner.weight_zeros(plan.graph.operators[op]) for op in ops})


def weighted_nodes(part: PartitionPlan, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster whose weights count in the two-thirds test."""
    nodes = [part.nodes[n] for n in cluster.nodes]
    return [n for n in nodes if n.type == NodeType.FULLY_CONNECTED or n.params.get("kernel") == (1, 1)]


def counted_ops(plan: Plan, part: PartitionPlan) -> list[int]:
    """1x1 convolutions, and fully-connected operators that read what could be part of a cluster."""
    found = {op for op in part.partition.ops if is_pointwise(plan.graph, plan.graph.operators[op])}
    for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
        if node.type == NodeType.FULLY_CONNECTED and verdict.layout and capable(part, node.inputs[0]):
            found.add(node.op)
    return sorted(found)


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"
