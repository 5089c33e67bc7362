"""What several formats say alike: where a finding is, what it says in one sentence, and numbers in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.reporters.styled_lines import name, safe

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.xnnpack.plan import Hazard, Plan

_APPLICABILITY = {"safe": "Safe fix", "unsafe": "Unsafe fix", "manual": "Fix"}


def place(finding: Finding, *, with_type: bool = True) -> str:
    """`conv_pw_3 (CONV_2D #12)`, or "" for the model as a whole."""
    where = finding.location
    kind = " ".join(
        [
            *([safe(where.type)] if where.type and with_type else []),
            *([f"#{where.op}"] if where.op is not None else []),
        ]
    )
    called = name(where.name or where.tensor)
    if called and kind:
        return f"{called} ({kind})"
    return called or kind


def hazard_place(plan: Plan, hazard: Hazard) -> str:
    """The same of a hazard."""
    return "the file" if hazard.op is None else _operator(plan, hazard.op)


def subgraph_name(plan: Plan, subgraph: int) -> str:
    """`subgraph 2, the body of lstm/while (WHILE #1)`."""
    called = next((c for c in plan.called if c.subgraph == subgraph), None)
    signatures = [signature.key for signature in plan.model.signatures if signature.subgraph == subgraph]
    if called is not None and called.op is not None:
        return f"subgraph {subgraph}, {safe(called.role)} of {_operator(plan, called.op)}"
    if signatures:
        return f"subgraph {subgraph}, of signature {', '.join(map(safe, signatures))}"
    return f"subgraph {subgraph}, which nothing that runs calls"


def _operator(plan: Plan, op: int) -> str:
    operator = plan.graph.operators[op]
    return f"{name(operator.name)} ({safe(operator.custom_code or operator.type)} #{op})"


def condition(finding: Finding, message: str = "") -> str:
    """The message (or another one) with the required and the actual value; what comes from the model is escaped."""
    values = ("needs", finding.required), ("has", finding.actual)
    asked = [f"{label} {safe(text)}" for label, text in values if text and not says_all(finding)]
    return safe(message or finding.message) + (f" ({'; '.join(asked)})" if asked else "")


def says_all(finding: Finding) -> bool:
    """Whether the message names what the model has, so that required and actual add nothing."""
    return bool(finding.actual) and finding.actual in finding.message


def remedy(finding: Finding) -> str:
    """`Safe fix: ...`, or "" where there is none."""
    fix = finding.remedy
    return f"{_APPLICABILITY[fix.applicability.value]}: {safe(fix.title)}" if fix is not None else ""


def sentence(finding: Finding) -> str:
    """Where, what, and what to do, in one line."""
    where = place(finding)
    text = f"{where}: {condition(finding)}" if where else condition(finding)
    return f"{text}. {remedy(finding)}" if finding.remedy is not None else text


def outcome_of(model: ModelReport) -> str:
    """The outcome's word; "unreadable" or "unknown" where there is none."""
    if model.error is not None:
        return "unreadable"
    return model.outcome.value if model.outcome is not None else "unknown"


def group(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several places, together, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        said = (impersonal(finding, "\0"), finding.required, finding.unlocks)
        key = (finding.rule, finding.severity, finding.location.type, *said)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def impersonal(finding: Finding, pronoun: str) -> str:
    """The message without the place's own name, so that it can be said once of many places."""
    own = finding.location.name
    return re.sub(rf"(?<!\w){re.escape(own)}(?!\w)", pronoun, finding.message) if own else finding.message


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """Whole percent that never says 0% or 100% of what is neither."""
    return share_text(part / whole if whole else 0.0)


def share_text(share: float) -> str:
    """The same of a share from 0 to 1."""
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return "<1%"
    if rounded == 100 and share < 1:
        return ">99%"
    return f"{rounded}%"
