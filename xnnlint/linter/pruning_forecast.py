"""What `--assume-pruned` forecasts, in one sentence: it is asked before weeks of fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.model.macs import total_macs
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan

_INSTEAD = {
    Outcome.DENSE: "the model runs dense all the same: pruning alone gains nothing",
    Outcome.WRONG_RESULTS: "the model gives wrong results",
    Outcome.FAILS: "the model fails",
}


def forecast(plan: Plan, share: float) -> str:
    """The sentence.

    Args:
        plan: of the model as it will be.
        share: of every 1x1 kernel that is taken to be pruned, 0 to 1.
    """
    begin = f"If {share:.0%} of every 1x1 kernel is pruned,"
    summary = plan.summary
    if plan.outcome is not Outcome.SPARSE or summary is None:
        return f"{begin} {_INSTEAD.get(plan.outcome, 'nothing changes')}."
    what = "1x1 convolution goes" if summary.pointwise_convs == 1 else "1x1 convolutions go"
    count = f"{summary.spmm} of {summary.pointwise_convs} {what} sparse"
    total = total_macs(plan.graph)
    return f"{begin} {count}, {summary.spmm_macs / total:.0%} of all MACs." if total else f"{begin} {count}."
