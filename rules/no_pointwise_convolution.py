"""XNN304: a model without anything that SpMM could run."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan, pointwise_ops


class NoPointwiseConvolution(Rule):
    """The model has no 1x1 convolution, so there is nothing that could run sparse.

    ## What it does
    Looks for CONV_2D operators with a 1x1 kernel, stride 1 and one group.

    ## Why it matters
    XNNPACK's sparse kernel (SpMM) runs 1x1 convolutions only. In networks of larger convolutions, or of dense layers,
    zeros bring no speed.

    ## Example
    ```python
    x = layers.Conv2D(64, 3, padding="same")(x)
    ```

    ## Use instead
    ```python
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(64, 1)(x)
    ```

    ## Fix safety
    Unsafe: another architecture has to be trained.

    ## References
    - google/XNNPACK, src/operators/convolution-nchw.c, `select_convolution2d_ukernel`: the SpMM kernel
    """

    code = "XNN304"
    name = "no-pointwise-convolution"
    condition = Condition.HAS_POINTWISE
    severity = Severity.NOTE
    summary = "only 1x1 convolutions run sparse, and the model has none"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if not pointwise_ops(plan.graph) and not plan.spmm_ops:
            yield self.finding(
                "the model has no 1x1 convolution, so nothing in it can run sparse",
                required="1x1 CONV_2D with stride 1 and one group",
                actual="none",
                fix="use depthwise-separable convolutions (SeparableConv2D) in place of spatial ones",
                applicability=Applicability.UNSAFE,
            )
