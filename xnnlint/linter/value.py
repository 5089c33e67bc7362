"""What a model is worth: how fast it is, what pruning would bring, and how large its pruned weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import smallest_set
from xnnlint.linter.pruning_forecast import forecasts
from xnnlint.linter.schedule_forecast import at_schedule_end
from xnnlint.linter.speed import speed_of
from xnnlint.xnnpack.plan import pointwise_ops

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.linter.wanted import Wanted


def add_value(report: ModelReport, wanted: Wanted) -> None:
    """Fill in `speed`, `if_pruned` and `size` of a report with a plan; its findings must all be there."""
    plan = report.plan
    assert plan is not None
    try:
        needed = [finding.waivers for finding in smallest_set(report.findings)]
        report.speed = speed_of(plan, frozenset().union(*needed), wanted.cost_profile)
        report.at_schedule_end = at_schedule_end(plan)
        # What was asked of the layers is answered; a report may go to another process.
        plan.model.at_end = None
        report.if_pruned = forecasts(plan, wanted.assume_pruned, wanted.cost_profile)
        # A Keras model's file will take what it is forecast to; where nothing can run sparse, size is what zeros bring.
        if plan.runs and (plan.model.format == "tflite" or not (pointwise_ops(plan.graph) or plan.spmm_ops)):
            from xnnlint.model.stored_size import CHEAP_BYTES, stored_size
            from xnnlint.model.weights import MAX_DECODED_BYTES

            report.size = stored_size(plan.model, MAX_DECODED_BYTES if wanted.pack_all else CHEAP_BYTES)
    except XnnlintError:
        # A weight that is too large to be decoded; the verdict stands without figures.
        return
