"""XNNPACK has sparse kernels for float values only."""

from __future__ import annotations

from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Fact, NodeCondition, Precedence, Verdict
from xnnlint.xnnpack.ir import Node, Subgraph
from xnnlint.xnnpack.profile import Profile

FLOATS = ("fp32", "fp16")


class FloatValues(NodeCondition):
    """A node that reads or writes quantized values is turned down whatever it computes."""

    key = Condition.FLOAT_VALUES
    precedence = Precedence.BEFORE_ALL

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return bool(quantized_types(node, subgraph))

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        return self.verdict((False, Fact.VALUE_TYPES, FLOATS, quantized_types(node, subgraph)))


def quantized_types(node: Node, subgraph: Subgraph) -> tuple[str, ...]:
    """Types other than float among a node's values, sorted."""
    values = (subgraph.values[v] for v in (*node.inputs, *node.outputs))
    return tuple(sorted({v.dtype for v in values if v.dtype not in FLOATS}))
