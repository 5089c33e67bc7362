"""What `--assume-pruned` forecasts, for each share of zeros: it is asked before weeks of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from xnnlint.linter.speed import rates_for
from xnnlint.model.macs import pointwise_macs, total_macs
from xnnlint.xnnpack.plan import Outcome, pointwise_ops

if TYPE_CHECKING:
    from xnnlint.cost import CostProfile, Gain
    from xnnlint.xnnpack.plan import Plan


class PruningForecast(NamedTuple):
    """What becomes of a model of which every 1x1 kernel is pruned, and stored sparse.

    Attributes:
        share: of zeros, 0 to 1.
        outcome: what it would do.
        spmm, pointwise_convs: how many of its 1x1 convolutions would run SpMM.
        macs: the share of all multiply-accumulates that these do; None where there are none.
        gain: the most that it would bring, for accuracy has no say here; None where it would not be sparse and right,
            or nothing is known of the CPU.
    """

    share: float
    outcome: Outcome
    spmm: int
    pointwise_convs: int
    macs: float | None = None
    gain: Gain | None = None


def forecasts(plan: Plan, shares: Sequence[float], profile: CostProfile | None = None) -> tuple[PruningForecast, ...]:
    """The forecast for each share.

    Args:
        plan: of the model as it is; of a Keras model that was read as pruned already (`Model.assume_pruned`), of that.
        shares: 0 to 1.
        profile: rates as for `speed_of`.
    """
    if not shares:
        return ()
    from xnnlint import cost

    found = []
    for share in shares:
        is_pruned = plan.model.assume_pruned == share
        pruned = plan if is_pruned else cost.plan_if_pruned(plan, share)
        assert pruned is not None, "only plans of tests are made by hand"
        gain = None
        if pruned.outcome is Outcome.SPARSE and plan.profile.sparse_cpu:
            rates = rates_for(plan, profile)
            gain = cost.gain(pruned, rates) if is_pruned else cost.gain_with_zeros(pruned, share, rates)
        found.append(_forecast(pruned, share, gain))
    return tuple(found)


def _forecast(plan: Plan, share: float, gain: Gain | None) -> PruningForecast:
    graph, spmm = plan.graph, plan.spmm_ops
    total = total_macs(graph)
    macs = sum(pointwise_macs(graph, graph.operators[op]) for op in spmm) / total if total else None
    return PruningForecast(share, plan.outcome, len(spmm), len(spmm | set(pointwise_ops(graph))), macs, gain)
