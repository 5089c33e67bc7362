"""Findings of models with layers of unknown effect: what such a layer could change is no error.

Where clusters begin and end, and so what goes wrong in them, depends on every operator; and of what comes behind such a
layer not even shapes are sure. Conditions on single operators in front of it hold whatever it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule_registry import find_rule, rule_for
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan


def hedged(plan: Plan, findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those that a layer of unknown effect could change as warnings."""
    if not plan.model.unknown:
        return list(findings)
    behind = _behind(plan)
    return [_hedge(f) if _is_of_whole_graph(f) or f.location.op in behind else f for f in findings]


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


def _is_of_whole_graph(finding: Finding) -> bool:
    rule = find_rule(finding.rule)
    return rule is not None and rule.of_whole_graph


def _hedge(finding: Finding) -> Finding:
    if finding.condition is Condition.KNOWN_LAYER:
        return finding
    severity = Severity.WARNING if finding.severity is Severity.ERROR else finding.severity
    unknown = rule_for(Condition.KNOWN_LAYER).code
    text = f"{finding.message}, unless a layer of unknown effect ({unknown}) changes that"
    return replace(finding, severity=severity, message=text)
