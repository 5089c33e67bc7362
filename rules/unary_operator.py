"""XNN107: unary operators."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import dims


class UnaryOperator(NodeRule):
    """A unary operator's input is not 4-D, or this runtime has no NCHW form of it."""

    code = "XNN107"
    name = "unary-operator-outside-nchw"
    summary = "a unary operator needs a 4-D input; runtimes before LiteRT 1.1 take only some of them"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.UNARY

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        known = profile["unary_in_cluster"]
        value = subgraph.values[node.inputs[0]]
        return verdict(
            Layout.NCHW,
            (known == "all" or node.operator in known, f"one of {', '.join(sorted(known))}", node.operator),
            (value.rank == 4, "a 4-D input", dims(value.shape)),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"{node.operator.replace('_', ' ')} cannot run in NCHW here"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "use an activation that the runtime has in NCHW, such as ReLU6 or hard-swish", Applicability.UNSAFE
