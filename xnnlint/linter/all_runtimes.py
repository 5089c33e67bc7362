"""`--runtime portable`: one report for all runtimes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Finding, Location, Severity
from xnnlint.linter.rule_registry import find_rule
from xnnlint.linter.unlock import rank
from xnnlint.xnnpack.plan import Plan, worst
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import every_runtime

if TYPE_CHECKING:
    from xnnlint.model.graph import Model


def check_everywhere(model: Model, cpu: str, find: Callable[[Plan], list[Finding]]) -> tuple[Plan, list[Finding]]:
    """Plan a model for every runtime on a CPU.

    Returns:
        The worst plan, and the findings of all; each says on which runtimes it holds.
    """
    plans = [make_plan(model, profile) for profile in every_runtime(cpu)]
    return worst(plans), merge([(plan.profile.runtime, find(plan)) for plan in plans])


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
