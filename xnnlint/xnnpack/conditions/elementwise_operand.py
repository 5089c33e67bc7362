"""ADD and MUL, and the shapes of their operands."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operand, Unmet, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

OPERATORS = ("add", "multiply")
RANK = 4


class ElementwiseOperand(NodeCondition):
    """4-D operands; a constant has at most one dimension other than 1, and comes first."""

    key = Condition.ELEMENTWISE_OPERAND

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.BINARY and node.operator in OPERATORS

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        first, second = (subgraph.values[v] for v in node.inputs)
        unmet = [Unmet(Fact.OPERAND_RANK, RANK, Operand.of(v)) for v in (first, second) if v.rank != RANK]
        if not unmet:
            if first.is_static and extent(first.shape) > 1:
                unmet.append(Unmet(Fact.CONSTANT_SHAPE, 1, Operand.of(first)))
            # The runtime looks at the first operand's shape here, too, although the constant is the second.
            if second.is_static and extent(first.shape) > 1:
                unmet.append(Unmet(Fact.CONSTANT_PLACE, 0, Operand.of(second)))
        return Verdict(unmet=tuple(unmet)) if unmet else Verdict(self.layout)


def extent(shape: tuple[int, ...]) -> int:
    """Number of dimensions other than 1."""
    return sum(d != 1 for d in shape)
