"""Findings of a model that reads weights stored sparse as if they were dense: that, and what is left once it does not.

With such weights stored dense the delegate takes other operators, so the model is planned again as it will be then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.findings import Finding
from xnnlint.linter.rule_registry import rule_for
from xnnlint.linter.unlock import rank
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Hazard, Plan


def with_weights_decoded(plan: Plan, find: Callable[[Plan], list[Finding]]) -> list[Finding]:
    """The findings of a model with such weights in its main graph; none of other models.

    Args:
        find: gives the findings of a plan.
    """
    misread = {h.fault.subject.index for h in plan.hazards if h.kind is FaultKind.SPARSE_ENCODING and _is_read(plan, h)}
    if not misread:
        return []
    from xnnlint.model.decoded import decoded

    found = find(make_plan(decoded(plan.model, misread), plan.profile))
    members = [f.unlocks for f in found if f.unlocks is not None and f.unlocks.in_smallest_set]
    unlocks = replace(members[0], alone=0, alone_macs=0.0) if members else None
    own = [replace(f, unlocks=unlocks) for f in rule_for(Condition.KNOWN_ENCODING).check(plan)]
    return sorted([*own, *(f for f in found if f.condition is not Condition.KNOWN_ENCODING)], key=rank)


def _is_read(plan: Plan, hazard: Hazard) -> bool:
    """Whether the operator itself reads the weights, and not a subgraph of it, and no DENSIFY does."""
    tensor, graph = hazard.fault.subject.index, plan.graph
    is_unpacked = any(reader.type == "DENSIFY" for reader in graph.consumers(tensor))
    return tensor in graph.operators[hazard.place].inputs and not is_unpacked
