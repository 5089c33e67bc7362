"""XNN100: operators on quantized values have no sparse kernels."""

from __future__ import annotations

from xnnlint.findings import Applicability
from xnnlint.rule import NodeRule, Verdict, verdict
from xnnlint.xnnpack.ir import Layout, Node, Subgraph
from xnnlint.xnnpack.profile import Profile

FLOAT = ("fp32", "fp16")


class QuantizedOperator(NodeRule):
    """An operator computes on quantized values."""

    code = "XNN100"
    name = "quantized-operator"
    summary = "int8 and uint8 operators have no sparse kernels"

    def _quantized(self, node: Node, subgraph: Subgraph) -> list[str]:
        values = (subgraph.values[v] for v in (*node.inputs, *node.outputs))
        return sorted({v.dtype for v in values if v.dtype not in FLOAT})

    def applies(self, node: Node, subgraph: Subgraph) -> bool:
        return bool(self._quantized(node, subgraph))

    def judge(self, node: Node, subgraph: Subgraph, profile: Profile) -> Verdict:
        dtypes = ", ".join(self._quantized(node, subgraph))
        return verdict(Layout.NONE, (False, "float32 values with float32 or float16 weights", dtypes))

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "it computes on quantized values, and XNNPACK has sparse kernels only for float"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "convert without int8 quantization; float16 weights keep the sparse path", Applicability.MANUAL
