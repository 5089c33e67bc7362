"""Findings of models with layers of unknown effect: what such a layer could change is no error.

Where clusters begin and end, and so what goes wrong in them, depends on every operator; and of what comes behind such a
layer not even shapes are sure. Conditions on single operators in front of it hold whatever it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule_registry import find_rule, rule_for
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    from xnnlint.model.graph import Model
    from xnnlint.xnnpack.plan import Plan


def hedged(plan: Plan, findings: Iterable[Finding], *, require_sparse: bool = False) -> list[Finding]:
    """The findings, those that a layer of unknown effect could change as warnings.

    Args:
        require_sparse: whether it is an error that nobody knows what the model does.
    """
    model = plan.model
    if not model.unknown:
        return list(findings)
    behind = {op.index for op in plan.graph.operators if op.name in model.unsure}
    found = [_hedge(f) if _is_of_whole_graph(f) or f.location.op in behind else f for f in findings]
    return [_demanded(f) if require_sparse else f for f in found]


def taken_as(model: Model) -> str:
    """What layers of unknown effect were taken for, as a clause: "if drop_block keeps its input as it is"."""
    left = [name for name in model.unknown if name not in model.kept]
    parts = []
    if model.kept:
        verb = "keeps its input as it is" if len(model.kept) == 1 else "keep their inputs as they are"
        parts.append(f"{_listed(model.kept)} {verb}")
    if left:
        parts.append(f"XNNPACK takes no part of {_listed(left)}")
    return f"if {' and '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 1
    return names[0] + (f" and {more} more" if more else "")


def _demanded(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.ERROR) if finding.condition is Condition.KNOWN_LAYER else finding


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
