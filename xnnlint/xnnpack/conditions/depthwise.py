"""Depthwise convolutions."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Padding, Verdict
from xnnlint.xnnpack.ir import Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

# kernel size -> padding on each side
PADDING_OF_KERNEL = {3: 1, 5: 2}
STRIDES = (1, 2)


class Depthwise(NodeCondition):
    """3x3 or 5x5 with symmetric padding, stride 1 or 2, multiplier 1, no dilation: the DWConv kernels."""

    key = Condition.DEPTHWISE

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.DEPTHWISE_CONVOLUTION_2D

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        (height, width), (stride_h, stride_w) = p["kernel"], p["stride"]
        amount = PADDING_OF_KERNEL.get(height, height // 2)
        kernels, strides = tuple((k, k) for k in PADDING_OF_KERNEL), tuple((s, s) for s in STRIDES)
        return self.verdict(
            (p["dilation"] == (1, 1), Fact.DILATION, (1, 1), p["dilation"]),
            (p["depth_multiplier"] == 1, Fact.DEPTH_MULTIPLIER, 1, p["depth_multiplier"]),
            (stride_h == stride_w and stride_h in STRIDES, Fact.STRIDE, strides, p["stride"]),
            (height == width and height in PADDING_OF_KERNEL, Fact.KERNEL, kernels, p["kernel"]),
            (not p["same_padding"] and p["padding"] == (amount,) * 4, Fact.PADDING, amount, Padding.of(node)),
        )
