"""What a model gains by the sparse path, by the cost model: as it is, and once its findings are mended.

Only a model that runs sparse and right gains anything. What a set of changes would bring comes from the plan that takes
their conditions as fulfilled: what the changes themselves cost (a padding, a cluster end) is in no plan yet, so such a
gain is the most that can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.waiver import WaiverKind

if TYPE_CHECKING:
    from xnnlint.cost import CostProfile, Gain, Prediction
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.waiver import Waiver

USUAL_SHARE = 0.8
"""Share of zeros that a kernel is taken to have once it is pruned: what guides advise."""
# Changes after which another dense model is left to compare with: in float for int8, on another CPU.
_OTHER_MODEL = (WaiverKind.FLOAT, WaiverKind.FP32, WaiverKind.CPU)


class Speed(NamedTuple):
    """Predicted times and gains of a model; without a cost profile for its CPU there is none.

    Attributes:
        prediction: the model as it is, right or wrong.
        now: the gain of a model that runs sparse and right; None of all others.
        if_fixed: the most that the smallest set of changes brings; None where it is not known.
        is_made: whether it is what `xnnlint fix` brings instead, with what the changes themselves take.
    """

    prediction: Prediction
    now: Gain | None = None
    if_fixed: Gain | None = None
    is_made: bool = False


def speed_of(plan: Plan, waivers: Iterable[Waiver], profile: CostProfile | None = None) -> Speed | None:
    """The speed of a planned model.

    Args:
        plan: as made by `make_plan`.
        waivers: the conditions that the smallest set of changes fulfils; none where no set is known.
        profile: the rates where they are for the plan's CPU; else those that come with xnnlint are used.

    Returns:
        None of a model that does not run, on a CPU without the sparse path, where there is nothing to compare, and of a
        plan made by hand.
    """
    if plan.planner is None or not plan.runs or not plan.profile.sparse_cpu:
        return None
    from xnnlint import cost

    profile = rates_for(plan, profile)
    now = cost.gain(plan, profile) if plan.outcome is Outcome.SPARSE else None
    prediction = now.sparse if now is not None else cost.predict(plan, profile)
    if prediction is None:
        return None
    return Speed(prediction, now, gain_once_fixed(plan, frozenset(waivers), profile))


def rates_for(plan: Plan, profile: CostProfile | None) -> CostProfile | None:
    """The given rates, if they are of the CPU that the plan is for."""
    return profile if profile is not None and profile.cpu == plan.profile.cpu else None


def gain_once_fixed(plan: Plan, waivers: frozenset[Waiver], profile: CostProfile | None) -> Gain | None:
    """The most that fulfilling some conditions brings; None where it makes nothing sparse, or is not known."""
    if not waivers or any(waiver.kind in _OTHER_MODEL for waiver in waivers):
        return None
    assert plan.planner is not None
    fixed = plan.planner.plan(plan.assumed | waivers)
    if fixed.outcome is not Outcome.SPARSE:
        return None
    from xnnlint import cost

    pruned = [waiver.place for waiver in waivers if waiver.kind is WaiverKind.PRUNED]
    return cost.gain_with_zeros(fixed, USUAL_SHARE, profile, pruned) if pruned else cost.gain(fixed, profile)
