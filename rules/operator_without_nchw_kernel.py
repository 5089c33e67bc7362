"""XNN110: every operator that has no NCHW form at all."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import by

INSTEAD = {
    NodeType.MAX_POOLING_2D: "use a depthwise convolution with stride 2 in its place",
    NodeType.AVERAGE_POOLING_2D: "use GlobalAveragePooling2D, or a depthwise convolution with stride 2",
    NodeType.CONCATENATE: "add the branches instead of concatenating them",
    NodeType.CONVOLUTION_2D: "replace it by a depthwise and a 1x1 convolution (SeparableConv2D)",
    NodeType.RESHAPE: "pool over height and width before reshaping",
    NodeType.CONSTANT_PAD: "pad directly in front of a 3x3 or 5x5 depthwise convolution with padding='valid'",
    NodeType.SPACE_TO_DEPTH_2D: "use a depthwise convolution with stride 2 in its place",
    NodeType.DECONVOLUTION_2D: "use UpSampling2D(interpolation='bilinear') and a 1x1 convolution",
}


class OperatorWithoutNchwKernel(NodeRule):
    """An operator that XNNPACK cannot run in NCHW stands where a sparse cluster runs, or would run."""

    code = "XNN110"
    name = "operator-without-nchw-kernel"
    summary = "pools, concatenation, spatial convolutions and reshapes cannot be part of a sparse cluster"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return True

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        if node.type == NodeType.DEPTH_TO_SPACE_2D:
            return Verdict(Layout.EXIT)
        actual = node.type.removeprefix("static_").replace("_", " ")
        if node.type == NodeType.CONVOLUTION_2D:
            actual = f"{by(node.params['kernel'])} convolution"
        return verdict(Layout.NONE, (False, "an operator with an NCHW kernel", actual))

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "XNNPACK has no NCHW kernel for it"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return INSTEAD.get(node.type, "move it behind the pooling that ends the cluster"), Applicability.UNSAFE
