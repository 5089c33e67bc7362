"""XNN304: a model without anything that SpMM could run."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Finding, Severity
from xnnlint.rule import Rule
from xnnlint.xnnpack.plan import Plan, pointwise_ops


class NoPointwiseConvolution(Rule):
    """The model has no 1x1 convolution."""

    code = "XNN304"
    name = "no-pointwise-convolution"
    severity = Severity.NOTE
    summary = "only 1x1 convolutions run sparse, and the model has none"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if not pointwise_ops(plan.graph) and not plan.spmm_ops:
            yield self.finding(
                "the model has no 1x1 convolution, so nothing in it can run sparse",
                required="1x1 CONV_2D with stride 1 and one group",
                actual="none",
                fix="use depthwise-separable convolutions (SeparableConv2D) in place of spatial ones",
            )
