"""1x1 convolutions, the ones that SpMM can run."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Padding, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile


class Pointwise(NodeCondition):
    """Stride 1, no padding, one group, no dilation."""

    key = Condition.POINTWISE

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.CONVOLUTION_2D and node.params["kernel"] == (1, 1)

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        return self.verdict(
            (p["groups"] == 1, Fact.GROUPS, 1, p["groups"]),
            (p["dilation"] == (1, 1), Fact.DILATION, (1, 1), p["dilation"]),
            (p["padding"] == (0, 0, 0, 0), Fact.PADDING, 0, Padding.of(node)),
            (p["stride"] == (1, 1), Fact.STRIDE, ((1, 1),), p["stride"]),
        )
