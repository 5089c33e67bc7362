"""XNN103: XNNPACK fully_connected nodes: unit 1x1 convolutions and FULLY_CONNECTED."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile


class FullyConnected(NodeRule):
    """A fully-connected operator stands inside the cluster of a runtime that has no sparse kernel for it."""

    code = "XNN103"
    name = "fully-connected-in-cluster"
    summary = "runtimes before LiteRT 1.1 have no sparse kernel for FULLY_CONNECTED"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.FULLY_CONNECTED

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        return verdict(
            Layout.NCHW,
            (profile["fully_connected_in_cluster"], "a 1x1 CONV_2D", "FULLY_CONNECTED"),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "this runtime has no sparse kernel for FULLY_CONNECTED"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "use a 1x1 Conv2D with the same weights in its place", Applicability.SAFE
