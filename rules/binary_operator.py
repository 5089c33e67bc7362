"""XNN106: binary operators other than ADD and MUL."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from .elementwise_operand import OPERATORS

INSTEAD = {
    "subtract": "add the negated value instead (negate the weights that produce it)",
    "prelu": "use ReLU, LeakyReLU or ELU",
    "divide": "multiply by the reciprocal",
    "maximum": "use a clamp against a scalar (ReLU)",
    "minimum": "use a clamp against a scalar (ReLU6)",
}


class BinaryOperator(NodeRule):
    """A binary operator other than ADD and MUL has no NCHW form."""

    code = "XNN106"
    name = "binary-operator-without-nchw-kernel"
    summary = "of the binary operators only ADD and MUL run in NCHW"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.BINARY and node.operator not in OPERATORS

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        return verdict(Layout.NONE, (False, "add or multiply", node.operator.replace("_", " ")))

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"XNNPACK runs no {node.operator.replace('_', ' ')} in NCHW"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return INSTEAD.get(node.operator, "express it with ADD and MUL"), Applicability.UNSAFE
