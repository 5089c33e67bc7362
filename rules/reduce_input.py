"""XNN109: MEAN and SUM as the end of a cluster."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import dims

REDUCTIONS = (NodeType.MEAN, NodeType.MEAN_SQUARED, NodeType.SUM, NodeType.SUM_SQUARED)
SPATIAL = (1, 2)


class ReduceInput(NodeRule):
    """A MEAN or SUM reads a value that is not 4-D, or (before LiteRT 1.1) does not average over height and width."""

    code = "XNN109"
    name = "pooling-not-over-a-map"
    summary = "MEAN and SUM end a cluster only on a 4-D input"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type in (*REDUCTIONS, NodeType.GLOBAL_AVERAGE_POOLING_2D)

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        value = subgraph.values[node.inputs[0]]
        if node.type == NodeType.GLOBAL_AVERAGE_POOLING_2D:
            return Verdict(Layout.NCHW | Layout.EXIT)
        return verdict(
            Layout.NCHW | Layout.EXIT,
            (profile["reduce_is_exit"], "MEAN over height and width", f"{node.type} over {dims(node.params['axes'])}"),
            (value.rank == 4, "a 4-D input", dims(value.shape)),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "it cannot end a sparse cluster"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "pool the 4-D map over height and width: GlobalAveragePooling2D", Applicability.UNSAFE
