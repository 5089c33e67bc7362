"""Every operator that has no NCHW form at all, and DEPTH_TO_SPACE, which reads NCHW and writes NHWC."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation, Precedence, Verdict
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile


class NchwKernel(NodeCondition):
    """Node types that `xnn_check_nchw_compatibility` does not list."""

    key = Condition.NCHW_KERNEL
    precedence = Precedence.AFTER_ALL

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return True

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        if node.type == NodeType.DEPTH_TO_SPACE_2D:
            return Verdict(Layout.EXIT)
        return self.verdict((False, Fact.OPERATOR, None, operation_of(node, subgraph)))


def operation_of(node: Node, subgraph: Subgraph) -> Operation:
    """What a node computes, as far as it matters here."""
    kernel = node.params["kernel"] if node.type == NodeType.CONVOLUTION_2D else None
    groups = node.params["groups"] if node.type == NodeType.CONVOLUTION_2D else 1
    return Operation(node.type, node.operator, kernel, groups, flattens_map=flattens_for_dense(node, subgraph))


def flattens_for_dense(node: Node, subgraph: Subgraph) -> bool:
    """Whether this is the reshape that a FULLY_CONNECTED brings along."""
    return node.type == NodeType.RESHAPE and any(
        n.type == NodeType.FULLY_CONNECTED and n.op == node.op for n in subgraph.nodes
    )
