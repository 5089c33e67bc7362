"""Predicted times of a plan's operators, and what the sparse path gains.

    prediction = predict(plan)          # of the model as it is
    gained = gain(plan)                 # beside the same model without the sparse path, on the same CPU
    for row in gain_if_pruned(plan):    # were every 1x1 kernel pruned to 70, 80, 90%
        ...

All of these are None where nothing can be said: on a CPU without a cost profile. Nothing here runs a model or needs
LiteRT.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from xnnlint.cost.plan_work import border_elements, tflite_work, xnnpack_work
from xnnlint.cost.prediction import Gain, OperatorCost, Prediction
from xnnlint.cost.profile import UNKNOWN_ERROR, CostProfile, Family, shipped_profile
from xnnlint.cost.work import TFLITE, Work
from xnnlint.xnnpack.layout import THRESHOLD
from xnnlint.xnnpack.plan import pointwise_ops
from xnnlint.xnnpack.waiver import ENCODED, STORED_DENSE, Waiver, WaiverKind

if TYPE_CHECKING:
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan, Replanner

SHARES = (0.7, 0.8, 0.9)
"""Shares of zeros that a forecast is asked for."""
CONFIDENCE = 1.64
"""Standard errors on both sides of a time: nine of ten whole models should lie inside (docs/cost-model.md)."""
OUTSIDE = 1.5
"""How much larger errors are than the profile's own for networks that people build, which differ more from the grid
than its networks from each other."""
_STAND_INS = {"unary": "unary:sigmoid", "binary": "binary:add"}


def predict(
    plan: Plan, profile: CostProfile | None = None, shares: Mapping[int, float] | None = None
) -> Prediction | None:
    """The time of a model as it is planned.

    Args:
        plan: as made by `make_plan`.
        profile: the rates; by default those that come with xnnlint for the plan's CPU.
        shares: by TFLite operator, a share of zeros to take instead of its filter's own.

    Returns:
        None where there are no rates for the plan's CPU.
    """
    profile = profile or shipped_profile(plan.profile.cpu)
    if profile is None:
        return None
    operators = [*_of_xnnpack(plan, profile, shares), *_of_tflite(plan, profile)]
    rest = profile.rest.time(len(plan.operators), len(plan.partitions), border_elements(plan))
    total = sum(operator.microseconds for operator in operators) + rest
    error = math.hypot(OUTSIDE * profile.errors.total * total, *_uncertain(operators, profile).values())
    pointwise = {op for op in pointwise_ops(plan.graph)} | plan.spmm_ops
    return Prediction(
        operators=tuple(operators),
        rest=rest,
        total=total,
        low=max(total - CONFIDENCE * error, total / 4),
        high=total + CONFIDENCE * error,
        pointwise=sum(o.microseconds for o in operators if o.op in pointwise) / total if total else 0.0,
        guessed=sum(o.microseconds for o in operators if o.is_guess) / total if total else 0.0,
        profile=profile,
        measured_on_cpu=profile.measured and profile.cpu == plan.profile.cpu,
    )


def gain(plan: Plan, profile: CostProfile | None = None) -> Gain | None:
    """How many times as fast the model is as the same one without the sparse path, on the same CPU."""
    return _gain(plan, profile, None, None)


def gain_if_pruned(
    plan: Plan,
    shares: Sequence[float] = SHARES,
    profile: CostProfile | None = None,
    only: Collection[int] | None = None,
) -> tuple[Gain, ...]:
    """What each share of zeros in every 1x1 kernel would bring, with the model's graph as it is; empty where nothing
    can be said.

    Args:
        plan: of the model as it is.
        shares: 0 to 1.
        profile: see `predict`.
        only: the operators to prune; by default all 1x1 convolutions. A kernel that has more zeros already keeps them.
    """
    gains = []
    for share in shares:
        assumed = plan_if_pruned(plan, share, only)
        found = assumed and gain_with_zeros(assumed, share, profile, only)
        gains += [found] if found else []
    return tuple(gains)


def plan_if_pruned(plan: Plan, share: float, only: Collection[int] | None = None) -> Plan | None:
    """The plan of a model whose 1x1 kernels were pruned to a share of zeros and stored sparse; None of a plan made by
    hand.

    Args:
        share, only: as for `gain_if_pruned`. At or below the threshold pruning changes nothing.
    """
    if plan.planner is None:
        return None
    pruned = pointwise_ops(plan.graph) if only is None else only
    waivers = {ENCODED, *(Waiver(WaiverKind.PRUNED, op) for op in pruned)}
    return plan.planner.plan(plan.assumed | waivers) if share > THRESHOLD else plan


def gain_with_zeros(
    plan: Plan, share: float, profile: CostProfile | None = None, only: Collection[int] | None = None
) -> Gain | None:
    """`gain` of a plan that takes weights as pruned, with the time that kernels with that share of zeros take.

    Args:
        share, only: as for `gain_if_pruned`; a kernel that has more zeros already keeps them.
    """
    if plan.planner is None:
        return None
    pruned = pointwise_ops(plan.graph) if only is None else only
    operators = plan.graph.operators
    fewer = [op for op in pruned if _zero_share(plan.planner, operators[op]) < share]
    return _gain(plan, profile, share, dict.fromkeys(fewer, share))


def _zero_share(planner: Replanner, op: Operator) -> float:
    elements, zeros = planner.weight_zeros(op)
    return zeros / elements if elements else 0.0


def _gain(
    plan: Plan, profile: CostProfile | None, share: float | None, shares: Mapping[int, float] | None
) -> Gain | None:
    dense_plan = without_sparse_path(plan)
    return _compared(dense_plan if dense_plan is not None else plan, plan, profile, share, shares)


def compared(before: Plan, after: Plan, profile: CostProfile | None = None) -> Gain | None:
    """How many times as fast one model, `after`, is as another, both planned for the same CPU; None where nothing can
    be said."""
    return _compared(before, after, profile, None, None)


def _compared(
    before: Plan, after: Plan, profile: CostProfile | None, share: float | None, shares: Mapping[int, float] | None
) -> Gain | None:
    dense, sparse = predict(before, profile, shares), predict(after, profile, shares)
    if sparse is None or dense is None:
        return None
    ratio = dense.total / sparse.total if sparse.total else 1.0
    low, high = _interval(dense, sparse, ratio)
    return Gain(dense, sparse, ratio, low, high, after.outcome, share)


def without_sparse_path(plan: Plan) -> Plan | None:
    """The plan of the same model on the same CPU, if no weight were stored sparse; None of a plan made by hand."""
    return None if plan.planner is None else plan.planner.plan(plan.assumed | {STORED_DENSE})


# -- operators


def _of_xnnpack(plan: Plan, profile: CostProfile, shares: Mapping[int, float] | None) -> list[OperatorCost]:
    costs = []
    for item in xnnpack_work(plan, profile.tiles, shares):
        kernel = item.kernel
        microseconds, error, is_guess = _time(item.work, profile)
        costs.append(
            OperatorCost(
                kernel.op,
                kernel.name,
                kernel.kernel,
                item.work.family,
                kernel.partition,
                microseconds,
                error,
                is_guess,
            )
        )
    return costs


def _of_tflite(plan: Plan, profile: CostProfile) -> list[OperatorCost]:
    costs = []
    for index in plan.tflite_ops:
        op = plan.graph.operators[index]
        work = tflite_work(plan.graph, index)
        microseconds, error, _ = _time(work, profile)
        costs.append(
            OperatorCost(index, op.name, op.custom_code or op.type, work.family, None, microseconds, error, True)
        )
    return costs


def _time(work: Work, profile: CostProfile) -> tuple[float, float, bool]:
    """Microseconds, their standard error, and whether they are a guess."""
    family, is_guess = _family(work, profile)
    microseconds = family.time(work)
    low, likely, high = _factors(work.family, profile)
    error = microseconds * likely * (UNKNOWN_ERROR if is_guess else family.error)
    scaled = microseconds * (high - low) / (2 * CONFIDENCE)
    return microseconds * likely, math.hypot(error, scaled), is_guess


def _family(work: Work, profile: CostProfile) -> tuple[Family, bool]:
    """The rates for some work; where none were measured, those of what resembles it most."""
    found = profile.families.get(work.family)
    if found is not None:
        return found, work.rough
    # The same kernel for floats does at most as much at once; then another operator on as many elements.
    word, _, _ = work.family.partition(":")
    for name in (work.family.rpartition(":")[0], word, _STAND_INS.get(word, ""), TFLITE, "unary:sigmoid"):
        found = profile.families.get(name)
        if found is not None and set(work.counts) & set(found.rates):
            return found, True
    return Family({}, UNKNOWN_ERROR, 0, 0.0, 0.0), True


def _factors(family: str, profile: CostProfile) -> tuple[float, float, float]:
    if profile.scaling is None:
        return 1.0, 1.0, 1.0
    return profile.scaling.factors.get(family.partition(":")[0], (1.0, 1.0, 1.0))


# -- errors


def _uncertain(operators: Sequence[OperatorCost], profile: CostProfile) -> dict[str, float]:
    """Microseconds by family that are uncertain beyond what measured networks show: guesses, and times scaled from
    another CPU. What is wrong with a family is wrong of all its operators alike."""
    sums: dict[str, float] = defaultdict(float)
    for operator in operators:
        low, likely, high = _factors(operator.family, profile)
        if operator.is_guess:
            sums[operator.family] += operator.error
        elif high > low:
            sums[operator.family] += operator.microseconds / likely * (high - low) / (2 * CONFIDENCE)
    return dict(sums)


def _interval(dense: Prediction, sparse: Prediction, ratio: float) -> tuple[float, float]:
    """The interval of the ratio. What both variants have in like shares does not change it."""
    if dense.operators == sparse.operators:
        return ratio, ratio
    before, after = (_uncertain(variant.operators, variant.profile) for variant in (dense, sparse))
    errors = dense.profile.errors
    square = (OUTSIDE * errors.ratio) ** 2 + errors.elsewhere**2
    for family in before.keys() | after.keys():
        square += (before.get(family, 0.0) / dense.total - after.get(family, 0.0) / sparse.total) ** 2
    spread = math.exp(CONFIDENCE * math.sqrt(square))
    return ratio / spread, ratio * spread
