"""Every rule that there is: those on graphs, those on TFMOT's pruning policy, and the one on budgets."""

from __future__ import annotations

from xnnlint.linter.rule import Rule


def every_rule() -> tuple[Rule, ...]:
    """All rules, by family and code."""
    from xnnlint.linter.budgets import budget_rules
    from xnnlint.linter.policy_check import policy_rules
    from xnnlint.linter.rule_registry import all_rules

    return (*all_rules(), *policy_rules(), *budget_rules())


def find_any_rule(code_or_name: str) -> Rule | None:
    """A rule of any family by its code or name, whatever the case."""
    wanted = code_or_name.strip().lower()
    return next((rule for rule in every_rule() if wanted in (rule.code.lower(), rule.name)), None)
