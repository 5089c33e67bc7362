"""Bilinear resizing."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

SMALLEST = 2


class ResizeBilinear(NodeCondition):
    """The NCHW kernel interpolates between two rows and two columns."""

    key = Condition.RESIZE_BILINEAR

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.RESIZE_BILINEAR

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        shape = subgraph.values[node.inputs[0]].shape
        return self.verdict((min(shape[1:3]) >= SMALLEST, Fact.INPUT_SIZE, SMALLEST, shape))
