"""What a model is worth: how fast it is, what pruning would bring, and how large its pruned weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import smallest_set
from xnnlint.linter.pruning_forecast import forecasts
from xnnlint.linter.schedule_forecast import at_schedule_end
from xnnlint.linter.speed import speed_of
from xnnlint.xnnpack.plan import pointwise_ops

if TYPE_CHECKING:
    from xnnlint.cost import CostProfile
    from xnnlint.linter.findings import ModelReport


class Wanted(NamedTuple):
    """What is to be said of a model beside its findings.

    Attributes:
        assume_pruned: shares of zeros, 0 to 1, to forecast a pruned model for. A single one is assumed of a Keras model
            as it is read, so that its whole report is that of the pruned model.
        cost_profile: rates of a CPU, instead of those that come with xnnlint for it.
        pack_all: try how well the weights pack even where that takes seconds.
        layers: (layer, what it is) of a Keras model, as the configuration declares layers whose code is not read.
    """

    assume_pruned: tuple[float, ...] = ()
    cost_profile: CostProfile | None = None
    pack_all: bool = False
    layers: tuple[tuple[str, str], ...] = ()

    @property
    def read_as_pruned(self) -> float | None:
        """The share that a Keras model is read with."""
        return self.assume_pruned[0] if len(self.assume_pruned) == 1 else None


NOTHING = Wanted()


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
