"""Findings of a model that was converted with its pruning wrappers: that, and what is left once they are off.

Whatever computes the kernels of wrapped layers splits the graph, and hides what is really to be changed; so the model
is planned as it will be without its wrappers, and its findings are those of that plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.findings import Finding, Unlock
from xnnlint.linter.rule_registry import rule_for
from xnnlint.linter.unlock import rank
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan


def without_wrappers(plan: Plan, find: Callable[[Plan], list[Finding]]) -> list[Finding]:
    """The findings of a model with wrappers; none of other models, and where its kernels cannot be told.

    Args:
        find: gives the findings of a plan.
    """
    from xnnlint.model.unwrapped import unwrapped

    left = list(rule_for(Condition.WRAPPERS_STRIPPED).check(plan))
    stripped = unwrapped(plan.model) if left and not plan.model.wrapped else None
    if stripped is None:
        return []
    model, places = stripped
    findings = [_at(f, places) for f in find(make_plan(model, plan.profile))]
    # Converted again, the model is stored sparse as well.
    stored = [f for f in findings if f.condition is Condition.STORED_SPARSE]
    others = [f for f in findings if f.condition is not Condition.STORED_SPARSE]
    unlocks = _of_both([f.unlocks for f in stored if f.unlocks is not None], others)
    return sorted([*(replace(f, unlocks=unlocks) for f in left), *others], key=rank)


def _at(finding: Finding, places: tuple[int, ...]) -> Finding:
    """A finding of the stripped model at its place in the file; its conditions are of no use for another plan."""
    op = finding.location.op
    location = finding.location if op is None else replace(finding.location, op=places[op])
    return replace(finding, location=location, waivers=frozenset())


def _of_both(stored: list[Unlock], others: list[Finding]) -> Unlock | None:
    """What taking the wrappers off brings, and storing the model sparse with it."""
    members = [f.unlocks for f in others if f.unlocks is not None and f.unlocks.in_smallest_set]
    known = [unlock for unlock in (*stored, *members) if unlock.in_smallest_set or unlock.alone]
    if not known:
        return None
    together = max(max(unlock.with_others, unlock.alone) for unlock in known)
    if members:
        return Unlock(0, 0.0, together, True, any(unlock.all_or_none for unlock in members))
    return Unlock(together, max((unlock.alone_macs for unlock in known), default=0.0), together, True)
