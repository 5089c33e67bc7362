"""`--runtime portable`, or several runtimes: one report for all of them, and what each makes of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.findings import Finding, Location, RuntimeOutcome, Severity, smallest_set
from xnnlint.linter.rule_registry import find_rule
from xnnlint.linter.unlock import rank
from xnnlint.xnnpack.plan import Plan, worst
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.model.graph import Model
    from xnnlint.xnnpack.profile import Profile


def check_everywhere(
    model: Model, profile: Profile, find: Callable[[Plan], list[Finding]]
) -> tuple[Plan, list[Finding], tuple[RuntimeOutcome, ...]]:
    """Plan a model, which is read once, for every runtime that a profile stands for.

    None stands for another: hardly two of them agree in all that is asked of them meanwhile, not even of the smallest
    model (`benchmarks/shared_plans.py`).

    Returns:
        The worst plan; the findings of all, each with the runtimes on which it holds; and what each makes of it.
    """
    plans = [make_plan(model, runtime) for runtime in profile.each()]
    found = [(plan.profile.runtime, find(plan)) for plan in plans]
    outcomes = tuple(_outcome(plan, findings) for plan, (_, findings) in zip(plans, found, strict=True))
    return worst(plans), merge(found), outcomes


def _outcome(plan: Plan, findings: list[Finding]) -> RuntimeOutcome:
    summary = plan.summary
    return RuntimeOutcome(
        plan.profile.runtime,
        None if plan.model.unknown else plan.outcome,
        0 if summary is None else int(summary.spmm),
        0 if summary is None else int(summary.pointwise_convs),
        tuple(dict.fromkeys(finding.rule for finding in smallest_set(findings))),
    )


def merge(found: Sequence[tuple[str, list[Finding]]]) -> list[Finding]:
    """One finding where a rule says the same of one place on several runtimes, as grave as the gravest of them.

    Args:
        found: runtimes, newest first, with their findings.
    """
    groups: dict[tuple[str, Location, str, str], list[tuple[str, Finding]]] = {}
    for runtime, findings in found:
        for finding in findings:
            key = (finding.rule, finding.location, finding.required, finding.actual)
            groups.setdefault(key, []).append((runtime, finding))
    merged = []
    for group in groups.values():
        gravest = min((finding for _, finding in group), key=lambda f: f.severity.rank)
        severity = gravest.severity
        if severity is not Severity.NOTE:
            rule = find_rule(gravest.rule)
            severity = (rule.severity_everywhere if rule is not None else None) or severity
            # A note on other runtimes says nothing that the finding of these does not.
            group = [(runtime, finding) for runtime, finding in group if finding.severity is not Severity.NOTE]
        names = list(dict.fromkeys(runtime for runtime, _ in group))
        where = "every runtime" if len(names) == len(found) else ", ".join(names)
        merged.append(replace(gravest, severity=severity, message=f"{gravest.message} [{where}]"))
    return sorted(merged, key=rank)
