"""The convolution that reads NHWC and writes NCHW, where a cluster starts."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Padding, Verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

KERNEL = (3, 3)
STRIDE = (2, 2)
PAD = 1
CHANNELS = 3
CONVOLUTIONS = (NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D, NodeType.FULLY_CONNECTED)


class Stem(NodeCondition):
    """3x3, stride 2, padding 1 on each side, 3 input channels: the HWC2CHW kernel."""

    key = Condition.STEM
    layout = Layout.ENTRY

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return (
            node.type == NodeType.CONVOLUTION_2D
            and node.params["kernel"] != (1, 1)
            and (node.params["group_input_channels"] == CHANNELS or is_first_convolution(node, subgraph))
        )

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        channels = p["group_input_channels"] * p["groups"]
        return self.verdict(
            (p["groups"] == 1, Fact.GROUPS, 1, p["groups"]),
            (p["dilation"] == (1, 1), Fact.DILATION, (1, 1), p["dilation"]),
            (p["kernel"] == KERNEL, Fact.KERNEL, (KERNEL,), p["kernel"]),
            (not p["same_padding"] and p["padding"] == (PAD,) * 4, Fact.PADDING, PAD, Padding.of(node)),
            (p["stride"] == STRIDE, Fact.STRIDE, (STRIDE,), p["stride"]),
            (p["groups"] != 1 or channels == CHANNELS, Fact.INPUT_CHANNELS, CHANNELS, channels),
        )


def is_first_convolution(node: Node, subgraph: Subgraph) -> bool:
    """Whether no other convolution feeds this one, so that it is where a sparse cluster would have to start."""
    return node.inputs[0] not in subgraph.computed_from(CONVOLUTIONS)
