"""XNN401: an operator that XNNPACK does not take, so that the graph falls apart there."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import Plan


class OperatorNotDelegated(Rule):
    """TFLite runs an operator itself, which cuts the graph into partitions that XNNPACK sees one by one."""

    code = "XNN401"
    name = "operator-not-delegated"
    summary = "an operator that the delegate refuses splits the graph; a cluster never spans two partitions"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if plan.delegation is None or plan.delegation.failure is not None:
            return
        for op, rejection in plan.delegation.rejected.items():
            yield self.finding(
                "XNNPACK does not take this operator, so the graph is split here and TFLite runs it",
                required=rejection.required,
                actual=rejection.actual,
                location=locate(plan, op),
                fix=self._fix(plan, op),
                applicability=Applicability.UNSAFE,
                waivers=[("delegated", op)],
            )

    def _fix(self, plan: Plan, op: int) -> str:
        operator = plan.graph.operators[op]
        if operator.type in DYNAMIC_SHAPE:
            return "convert with a fixed batch size, so that shapes are constants and this operator folds away"
        return INSTEAD.get(operator.type, "replace it by an operator that XNNPACK takes, or move it behind the cluster's end")


DYNAMIC_SHAPE = ("SHAPE", "PACK", "STRIDED_SLICE", "GATHER", "CONCATENATION", "REDUCE_PROD", "RESHAPE")
INSTEAD = {
    "RESIZE_NEAREST_NEIGHBOR": "use bilinear resizing: UpSampling2D(interpolation='bilinear')",
    "SQUEEZE": "use Reshape or Flatten",
    "EXPAND_DIMS": "use Reshape",
    "MIRROR_PAD": "use zero padding: ZeroPadding2D",
    "PADV2": "use zero padding: ZeroPadding2D",
}
