"""XNN102: 1x1 convolutions, the ones that SpMM can run."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import by, padding_text


class PointwiseConvolution(NodeRule):
    """A 1x1 convolution has a stride, padding, groups or dilation."""

    code = "XNN102"
    name = "pointwise-convolution-not-plain"
    summary = "a 1x1 convolution must have stride 1, no padding, one group"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.CONVOLUTION_2D and node.params["kernel"] == (1, 1)

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        p = node.params
        return verdict(
            Layout.NCHW,
            (p["groups"] == 1, "groups 1", p["groups"]),
            (p["dilation"] == (1, 1), "dilation 1x1", by(p["dilation"])),
            (p["padding"] == (0, 0, 0, 0), "no padding", padding_text(node)),
            (p["stride"] == (1, 1), "stride 1x1", by(p["stride"])),
        )

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "SpMM runs only plain 1x1 convolutions"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "move the stride or the padding to a depthwise convolution; use one group", Applicability.UNSAFE
