"""XNN901: the sparse path runs, and its outputs are wrong."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Hazard, Outcome, Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._cause import Cause, CauseKind
from ._causes import cause_of
from ._pytorch import ALL

DENSE_IS_RIGHT = "converted without EXPERIMENTAL_SPARSITY the model is correct, and dense"


class WrongResults(Rule):
    """The runtime computes wrong numbers here, and reports no error.

    ## What it does
    Names the first operator whose output is wrong, and the one that causes it. The usual case: a sparse cluster
    runs, an operator behind it has no NCHW kernel, and the last operator of the cluster is created as an NHWC operator
    that reads NCHW data. Others: a pooling with keepdims whose wrong shape the next operator works with, a pooling
    over other axes, weights that are never unpacked, an input of the model that is an output, too (LiteRT 2.1 and
    later; dense as well), and 'same' padding where the stride is above the kernel, so that the last window ends before
    the map does (up to LiteRT 2.1; dense as well; never with a 1x1 kernel). Weights whose reader does not know how they
    are stored have a rule of their own, XNN404.

    ## Why it matters
    Nothing says so: the model loads, runs and gives numbers. A test on a desktop computer does not help, since on x86
    with AVX the same file runs dense and is correct. Seen in every LiteRT release from 1.0 to 2.3.

    ## Example
    ```python
    x = layers.Conv2D(64, 1, activation="relu")(x)  # pruned; this one computes wrong numbers
    x = layers.MaxPooling2D()(x)  # because of this one
    ```

    ## Use instead
    What the finding's fix says, for its cause. Until then convert without EXPERIMENTAL_SPARSITY: the same model runs
    dense, and its outputs are correct, unless an output or 'same' padding is the cause.

    ## Fix safety
    That of the rule that the cause belongs to. Converting without EXPERIMENTAL_SPARSITY is safe.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: only inputs of a cluster's nodes are marked as
      NCHW, and nothing looks at the values that leave it
    - google/XNNPACK, src/subgraph/fully-connected.c and convolution-2d.c, `create_*_operator`: the operator is chosen
      by the layout of the output; that of the input is checked in debug builds only
    - google/XNNPACK, src/subgraph/static-reduce.c, `reshape_reduce_operator` (since 813a14bf, 2024-10-07)
    - google/XNNPACK, src/operators/convolution-nhwc.c, `reshape_convolution2d_nhwc`: the padding, an unsigned number,
      was below 0 (until bf301454, 2026-07-06)
    """

    code = "XNN901"
    name = "wrong-results"
    condition = Condition.RIGHT_RESULTS
    of_whole_graph = True
    terms = ALL
    summary = "data laid out in one order is read in the other; the outputs are wrong and nothing reports it"
    outcome = Outcome.WRONG_RESULTS

    def check(self, plan: Plan) -> Iterable[Finding]:
        told: set[tuple[int | None, Cause]] = set()
        for hazard in plan.hazards:
            cause = cause_of(plan, hazard)
            if hazard.outcome is not self.outcome or hazard.kind in _TOLD_ELSEWHERE or (hazard.op, cause) in told:
                continue
            told.add((hazard.op, cause))
            yield self.finding(
                self._message(hazard, cause.text),
                required=cause.required,
                actual=cause.actual,
                location=locate(plan, hazard.op),
                fix=f"{cause.fix}; {DENSE_IS_RIGHT}" if cause.kind.is_of_sparse_path else cause.fix,
                applicability=cause.applicability,
                waivers=_waivers(cause),
            )

    def _message(self, hazard: Hazard, why: str) -> str:
        what = what_happens(hazard, why)
        return f"the outputs are wrong from here on, without any error: {what}{why}"


# Weights whose reader does not know their encoding are reported by XNN404, where their reader is the cause itself.
_TOLD_ELSEWHERE = (FaultKind.SPARSE_ENCODING,)
# Of these the fault says something that its cause does not.
_SAYS_MORE = (FaultKind.LAYOUT, FaultKind.BOUNDARY, FaultKind.SHAPE, FaultKind.OVERFLOW, FaultKind.REFUSED)


def what_happens(hazard: Hazard, why: str) -> str:
    """The fault in front of its cause, where it adds anything."""
    words = fault_words(hazard.fault)
    return f"{words}, since " if words != why and hazard.kind in _SAYS_MORE else ""


def _waivers(cause: Cause) -> list[Waiver]:
    if cause.kind is not CauseKind.CONSTANT or cause.op is None:
        return []
    return [Waiver(WaiverKind.COMPATIBLE, cause.op)]
