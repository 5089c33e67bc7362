"""XNN304: a model without anything that SpMM could run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Operator
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.stem import CHANNELS
from xnnlint.xnnpack.plan import Plan, pointwise_ops

from ._pruning import others_pruned
from ._pytorch import POINTWISE, STRIDE_FIRST
from ._text import by, listed

REQUIRED = "1x1 CONV_2D with stride 1 and one group"
SEPARABLE = "use depthwise-separable convolutions (SeparableConv2D)"
STRIDE_BEFORE = (
    "move the stride to a depthwise convolution in front: ZeroPadding2D(1) and "
    "DepthwiseConv2D(3, strides=2, padding='valid')"
)


class NoPointwiseConvolution(Rule):
    """The model has no 1x1 convolution, so there is nothing that could run sparse.

    ## What it does
    Looks for CONV_2D operators with a 1x1 kernel, stride 1 and one group.

    ## Why it matters
    XNNPACK's sparse kernel (SpMM) runs 1x1 convolutions only, and only with stride 1 and one group. In networks of
    larger convolutions, or of dense layers, zeros bring no speed. They still make the file smaller: stored sparse, or
    packed by gzip, which finds the zeros of dense weights, too; `xnnlint check` says how much.

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
    terms = {**POINTWISE, **STRIDE_FIRST}
    summary = "only 1x1 convolutions run sparse, and the model has none"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if pointwise_ops(plan.graph) or plan.spmm_ops:
            return
        strided = [op for op in plan.graph.operators if _is_1x1(plan, op)]
        if strided:
            yield self._none_plain(plan, strided)
            return
        pruned = others_pruned(plan)
        spatial = any(op.type == "CONV_2D" for op in plan.graph.operators)
        # What a custom operator holds is not known, and a pruned model was not made to be thrown away.
        helps = spatial and pruned is None and not any(op.type == "CUSTOM" for op in plan.graph.operators)
        smaller = f"; the zeros of its {pruned.what} make it smaller, and not faster" if pruned is not None else ""
        yield self.finding(
            "the model has no 1x1 convolution, so nothing in it can run sparse",
            required=REQUIRED,
            actual=f"none{smaller}",
            fix=f"{SEPARABLE} in place of spatial ones" if helps else "",
            applicability=Applicability.UNSAFE,
        )

    def _none_plain(self, plan: Plan, found: Sequence[Operator]) -> Finding:
        first = found[0].attributes
        stride = first.get("stride_h", 1), first.get("stride_w", 1)
        is_strided = stride != (1, 1)
        what = f"stride {by(stride)}" if is_strided else "more than one group"
        larger = sum(_is_larger(plan, op) for op in plan.graph.operators)
        fix = STRIDE_BEFORE if is_strided else "use one group"
        return self.finding(
            "no 1x1 convolution of the model is a plain one, so nothing in it can run sparse",
            required=REQUIRED,
            actual=f"{what} at {listed([op.name or f'#{op.index}' for op in found])}"
            + (f", and {larger} CONV_2D of larger kernels around, which have no NCHW kernel either" if larger else ""),
            location=locate(plan, found[0].index),
            # With that alone it would lie between operators that stay dense.
            fix=f"{SEPARABLE} in place of those of larger kernels, too, and {fix}" if larger else fix,
            applicability=Applicability.UNSAFE,
        )


def _is_1x1(plan: Plan, op: Operator) -> bool:
    weights = plan.graph.input_tensor(op, 1)
    return op.type == "CONV_2D" and weights is not None and weights.rank == 4 and weights.shape[1:3] == (1, 1)


def _is_larger(plan: Plan, op: Operator) -> bool:
    """Whether a convolution of several taps is not a first one, which begins a cluster."""
    weights = plan.graph.input_tensor(op, 1)
    several = op.type == "CONV_2D" and weights is not None and weights.rank == 4 and weights.shape[1:3] != (1, 1)
    return several and weights is not None and weights.shape[3] > CHANNELS
