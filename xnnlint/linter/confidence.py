"""Findings of models with layers of unknown effect (XNN403): what such a layer could change is no error.

Where clusters begin and end, and so what goes wrong in them, depends on every operator; and of what comes behind such a
layer not even shapes are sure. Conditions on single operators in front of it hold whatever it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Finding, Severity

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan

# Rules about the graph as a whole, by the start of their codes; and the one that says which layers those are.
_OF_THE_WHOLE = ("XNN2", "XNN305", "XNN9")
_UNKNOWN = "XNN403"


def hedged(plan: Plan, findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those that a layer of unknown effect could change as warnings."""
    if not plan.model.unknown:
        return list(findings)
    behind = _behind(plan)
    return [_hedge(f) if f.rule.startswith(_OF_THE_WHOLE) or f.location.op in behind else f for f in findings]


def _behind(plan: Plan) -> set[int]:
    """The operators that depend on a layer of unknown effect."""
    graph = plan.graph
    unsure: set[int] = set()  # tensors
    found = set()
    for op in graph.operators:  # in execution order
        behind = any(tensor in unsure for tensor in op.inputs)
        if behind:
            found.add(op.index)
        if behind or (op.type == "CUSTOM" and op.name in plan.model.unknown):
            unsure.update(op.outputs)
    return found


def _hedge(finding: Finding) -> Finding:
    if finding.rule == _UNKNOWN:
        return finding
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    text = f"{finding.message}, unless a layer of unknown effect ({_UNKNOWN}) changes that"
    return replace(finding, severity=severity, message=text)
