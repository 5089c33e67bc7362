"""What a model that is being pruned will do once the schedules of its wrappers end: asked before training is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.linter.pruning_forecast import PruningForecast
from xnnlint.xnnpack.plan import pointwise_ops
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan


def plan_at_end(plan: Plan) -> Plan | None:
    """The plan of a model as its schedules leave it; None where it is not being pruned, or already is at the end."""
    if plan.model.at_end is None:
        return None
    end = make_plan(plan.model.at_end(), plan.profile)
    return end if _zeros(end) > _zeros(plan) else None


def at_schedule_end(plan: Plan) -> PruningForecast | None:
    """The same in figures; the share is that of all 1x1 weights."""
    end = plan_at_end(plan)
    if end is None or end.summary is None:
        return None
    pointwise = end.spmm_ops | set(pointwise_ops(end.graph))
    return PruningForecast(_zeros(end), end.outcome, len(end.spmm_ops), len(pointwise))


def _zeros(plan: Plan) -> float:
    summary = plan.summary
    return (
        summary.pointwise_zeros / summary.pointwise_params if summary is not None and summary.pointwise_params else 0.0
    )
