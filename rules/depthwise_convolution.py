"""XNN104: depthwise convolutions."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import by, padding_text

# kernel size -> padding on each side
PADDING_OF_KERNEL = {3: 1, 5: 2}
STRIDES = (1, 2)


class DepthwiseConvolution(NodeRule):
    """A depthwise convolution has no NCHW kernel in its kernel size, stride, padding or multiplier."""

    code = "XNN104"
    name = "depthwise-convolution-without-nchw-kernel"
    summary = "a depthwise convolution must be 3x3 with padding 1 or 5x5 with padding 2, stride 1 or 2, multiplier 1"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.DEPTHWISE_CONVOLUTION_2D

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        (height, width), (stride_h, stride_w) = p["kernel"], p["stride"]
        side = PADDING_OF_KERNEL.get(height, height // 2)
        return verdict(
            Layout.NCHW,
            (p["dilation"] == (1, 1), "dilation 1x1", by(p["dilation"])),
            (p["depth_multiplier"] == 1, "depth multiplier 1", p["depth_multiplier"]),
            (stride_h == stride_w and stride_h in STRIDES, "stride 1x1 or 2x2", by(p["stride"])),
            (height == width and height in PADDING_OF_KERNEL, "kernel 3x3 or 5x5", by(p["kernel"])),
            (
                not p["same_padding"] and p["padding"] == (side,) * 4,
                f"padding {side} on each side",
                padding_text(node),
            ),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "XNNPACK has no NCHW kernel for this depthwise convolution"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        kernel = node.params["kernel"]
        if kernel[0] == kernel[1] and kernel[0] in PADDING_OF_KERNEL:
            side = PADDING_OF_KERNEL[kernel[0]]
            return f"use ZeroPadding2D({side}) and padding='valid', stride 1 or 2, no dilation", Applicability.UNSAFE
        return "use a 3x3 or a 5x5 kernel with symmetric padding", Applicability.UNSAFE
