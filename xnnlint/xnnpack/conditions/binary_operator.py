"""Binary operators other than ADD and MUL."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.elementwise_operand import OPERATORS
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile


class BinaryOperator(NodeCondition):
    """None of them has an NCHW kernel."""

    key = Condition.BINARY_OPERATOR

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.BINARY and node.operator not in OPERATORS

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        return self.verdict((False, Fact.OPERATOR, OPERATORS, Operation(node.type, node.operator)))
