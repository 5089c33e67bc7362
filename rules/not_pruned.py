"""XNN303: a model that is not pruned yet."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Finding, Severity
from xnnlint.rule import Rule
from xnnlint.xnnpack.plan import WHOLE_MODEL, Plan, pointwise_ops

from ._pruning import percent, weights_of


class NotPruned(Rule):
    """The model's 1x1 convolutions have hardly any zeros."""

    code = "XNN303"
    name = "not-pruned"
    severity = Severity.NOTE
    summary = "the model is not pruned; says what pruning would unlock"

    def check(self, plan: Plan) -> Iterable[Finding]:
        ops = pointwise_ops(plan.graph)
        if not ops or any(part.subgraph.sparse_hint for part in plan.partitions):
            return
        weights = weights_of(plan, ops)
        if weights.are_pruned:
            return
        yield self.finding(
            f"the {len(ops)} 1x1 convolutions of this model are not pruned",
            required="more than 66.7% zeros, stored in the sparse format",
            actual=f"{percent(weights.share)} zeros",
            fix="prune the 1x1 convolutions to about 80% and convert with EXPERIMENTAL_SPARSITY",
            waivers=[("encoded", WHOLE_MODEL), *(("pruned", op) for op in ops)],
        )
