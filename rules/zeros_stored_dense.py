"""XNN302: pruned weights that are stored like dense ones."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import WHOLE_MODEL, Plan, pointwise_ops

from ._pruning import percent, weights_of


class ZerosStoredDense(Rule):
    """The weights have zeros, but no weight is stored in the sparse format, so the runtime never looks for them."""

    code = "XNN302"
    name = "zeros-stored-dense"
    summary = "only weights stored in the sparse format (behind DENSIFY) make the runtime look for zeros"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            inside = set(part.partition.ops)
            ops = [op for op in pointwise_ops(plan.graph) if op in inside]
            if part.subgraph.sparse_hint or not ops:
                continue
            weights = weights_of(plan, ops)
            if not weights.are_pruned:
                continue
            yield self.finding(
                f"{len(ops)} 1x1 convolutions have zeros, but none of their weights is stored in the sparse format",
                required="a weight behind DENSIFY in the same partition of the graph",
                actual=f"no DENSIFY; {percent(weights.share)} zeros stored dense",
                location=locate(plan, ops[0]),
                fix="convert with converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]",
                applicability=Applicability.SAFE,
                waivers=[("encoded", WHOLE_MODEL)],
            )
