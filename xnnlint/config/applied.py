"""What the configuration makes of a model's report: findings left out, severities, budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.families import POLICY
from xnnlint.linter.findings import ModelReport, Severity

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings
    from xnnlint.linter.findings import Finding


def apply(report: ModelReport, settings: Settings) -> ModelReport:
    """Change a report as the settings want it; the plan and its outcome stay as they are."""
    if report.plan is not None and settings.budgets:
        from xnnlint.linter.budgets import budget_rules

        for rule in budget_rules():
            report.findings += rule.check_budgets(report.plan, settings.budgets)
    if not settings.selects_all:
        kept = [settings.reports(finding.rule, finding.name) for finding in report.findings]
        report.ignored = [finding for finding, wanted in zip(report.findings, kept, strict=True) if not wanted]
        report.findings = [finding for finding, wanted in zip(report.findings, kept, strict=True) if wanted]
    if settings["severity"] or settings.budgets:
        report.findings = [_as_grave_as(finding, settings) for finding in report.findings]
        # The gravest first, as without a configuration; what the policy says stays before all others.
        report.findings.sort(key=lambda finding: (not finding.rule.startswith(POLICY), finding.severity.rank))
    return report


def _as_grave_as(finding: Finding, settings: Settings) -> Finding:
    severity = settings.severity(finding.rule, finding.name)
    return finding if severity is None else replace(finding, severity=Severity(severity))
