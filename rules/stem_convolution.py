"""XNN101: the convolution that enters the sparse cluster."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import by, padding_text

KERNEL = (3, 3)
STRIDE = (2, 2)
PADDING = (1, 1, 1, 1)
CHANNELS = 3


def is_first_convolution(node: Node, subgraph: Subgraph) -> bool:
    """Whether no other convolution feeds this one, so that it is where a sparse cluster would have to start."""
    producers = {v: n for n in subgraph.nodes for v in n.outputs}
    pending, seen = [node.inputs[0]], set()
    while pending:
        producer = producers.get(pending.pop())
        if producer is None or id(producer) in seen:
            continue
        seen.add(id(producer))
        if producer.type in (NodeType.CONVOLUTION_2D, NodeType.DEPTHWISE_CONVOLUTION_2D, NodeType.FULLY_CONNECTED):
            return False
        pending += [v for v in producer.inputs if not subgraph.values[v].is_static]
    return True


class StemConvolution(NodeRule):
    """The model's first convolution cannot turn NHWC input into NCHW, so no sparse cluster starts there."""

    code = "XNN101"
    name = "stem-not-a-sparse-entry"
    summary = "the first convolution must be 3x3, stride 2, padding 1 on each side, 3 input channels"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return (
            node.type == NodeType.CONVOLUTION_2D
            and node.params["kernel"] != (1, 1)
            and (node.params["group_input_channels"] == CHANNELS or is_first_convolution(node, subgraph))
        )

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        channels = p["group_input_channels"] * p["groups"]
        return verdict(
            Layout.ENTRY,
            (p["groups"] == 1, "groups 1", p["groups"]),
            (p["dilation"] == (1, 1), "dilation 1x1", by(p["dilation"])),
            (p["kernel"] == KERNEL, f"kernel {by(KERNEL)}", by(p["kernel"])),
            (not p["same_padding"] and p["padding"] == PADDING, "padding 1 on each side", padding_text(node)),
            (p["stride"] == STRIDE, f"stride {by(STRIDE)}", by(p["stride"])),
            (p["groups"] != 1 or channels == CHANNELS, f"{CHANNELS} input channels", channels),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "the first convolution is not one that XNNPACK can run from NHWC input to NCHW output"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        layers = "ZeroPadding2D(1) and Conv2D(filters, 3, strides=2, padding='valid')"
        return f"use {layers} on 3 channels", Applicability.UNSAFE
