"""XNN105: ADD and MUL, and the shapes of their operands."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Unmet, Verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import dims, operand

OPERATORS = ("add", "multiply")


def _extent(shape: tuple[int, ...]) -> int:
    """Number of dimensions other than 1."""
    return sum(d != 1 for d in shape)


class ElementwiseOperand(NodeRule):
    """An operand of ADD or MUL is not 4-D, or a constant is not a scalar or vector in the place that is checked."""

    code = "XNN105"
    name = "elementwise-operand-not-a-vector"
    summary = "both operands of ADD and MUL must be 4-D, and a constant must be a vector and come first"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.BINARY and node.operator in OPERATORS

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        first, second = (subgraph.values[v] for v in node.inputs)
        unmet = [Unmet("4-D operands", operand(v)) for v in (first, second) if v.rank != 4]
        if not unmet:
            if first.is_static and _extent(first.shape) > 1:
                unmet.append(Unmet("a constant with at most one dimension other than 1", dims(first.shape)))
            # The runtime looks at the first operand's shape here, too, although the constant is the second.
            if second.is_static and _extent(first.shape) > 1:
                unmet.append(Unmet("the constant as first operand", f"constant {dims(second.shape)} as second operand"))
        return Verdict(Layout.NONE, tuple(unmet)) if unmet else Verdict(Layout.NCHW)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "its operands are not of shapes that XNNPACK accepts in NCHW"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return (
            "give the constant the shape [1, 1, 1, C] and make it the first operand, or fold it into the convolution",
            Applicability.SAFE,
        )
