"""MEAN and SUM as the end of a cluster."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Operation, Verdict
from xnnlint.xnnpack.ir import REDUCTIONS, Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.profile import Profile

SPATIAL = (1, 2)
RANK = 4


class ReduceInput(NodeCondition):
    """A 4-D input, whatever the axes; older runtimes take only the global average pooling."""

    key = Condition.REDUCE_INPUT
    layout = Layout.NCHW | Layout.EXIT

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return node.type in (*REDUCTIONS, NodeType.GLOBAL_AVERAGE_POOLING_2D)

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        if node.type == NodeType.GLOBAL_AVERAGE_POOLING_2D:
            return Verdict(self.layout)
        value = subgraph.values[node.inputs[0]]
        operation = Operation(node.type, node.operator, axes=node.params["axes"])
        return self.verdict(
            (profile["reduce_is_exit"], Fact.REDUCTION, SPATIAL, operation),
            (value.rank == RANK, Fact.INPUT_RANK, RANK, value.shape),
        )
