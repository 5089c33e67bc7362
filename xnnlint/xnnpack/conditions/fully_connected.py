"""XNNPACK fully_connected nodes: plain 1x1 convolutions and FULLY_CONNECTED."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile


class FullyConnected(NodeCondition):
    """Newer runtimes run them with the sparse kernel, older ones only convolutions."""

    key = Condition.FULLY_CONNECTED

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.FULLY_CONNECTED

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        taken = profile["fully_connected_in_cluster"]
        return self.verdict((taken, Fact.OPERATOR, (NodeType.CONVOLUTION_2D,), Operation(node.type)))
