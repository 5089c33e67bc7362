"""XNN108: bilinear resizing."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

from ._text import dims


class ResizeBilinear(NodeRule):
    """A bilinear resize reads a map that is only one row high or one column wide."""

    code = "XNN108"
    name = "resize-of-a-single-row"
    summary = "RESIZE_BILINEAR needs an input more than 1 high and 1 wide"

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type == NodeType.RESIZE_BILINEAR

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        shape = subgraph.values[node.inputs[0]].shape
        return verdict(Layout.NCHW, (shape[1] > 1 and shape[2] > 1, "input height and width above 1", dims(shape)))

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "its input is only one row high or one column wide"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "broadcast the pooled value with ADD or MUL instead of resizing it", Applicability.UNSAFE
