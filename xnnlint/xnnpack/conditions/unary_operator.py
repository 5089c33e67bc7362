"""Unary operators."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

RANK = 4


class UnaryOperator(NodeCondition):
    """A 4-D input; older runtimes take only some operators."""

    key = Condition.UNARY_OPERATOR

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.UNARY

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        known = profile["unary_in_cluster"]
        value = subgraph.values[node.inputs[0]]
        return self.verdict(
            (known == "all" or node.operator in known, Fact.OPERATOR, None, Operation(node.type, node.operator)),
            (value.rank == RANK, Fact.INPUT_RANK, RANK, value.shape),
        )
