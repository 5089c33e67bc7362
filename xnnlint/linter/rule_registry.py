"""The rules on graphs, found in the modules of `rules/` and in other packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from xnnlint.linter.plugins import check_clashes, plugin_rules
from xnnlint.linter.rule import NodeRule, Rule
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import NodeCondition


def _modules(package: str) -> Iterable[str]:
    root = importlib.import_module(package)
    return (f"{package}.{module.name}" for module in pkgutil.iter_modules(root.__path__) if module.name[0] != "_")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of `rules/` sorted by code, then those of other packages.

    Raises:
        XnnlintError: two rules share a code or a name, or one of another package cannot be loaded. A rule of `rules/`
            that cannot be imported stops the run, too.
    """
    rules = [*own_rules(), *sorted(plugin_rules(), key=lambda rule: rule.code)]
    check_clashes(rules)
    return tuple(rules)


@cache
def own_rules() -> tuple[Rule, ...]:
    """Every rule of `rules/`, sorted by code."""
    rules: list[Rule] = []
    for module in _modules("xnnlint.rules"):
        for item in vars(importlib.import_module(module)).values():
            if isinstance(item, type) and issubclass(item, Rule) and item.__module__ == module and "code" in vars(item):
                rules.append(item())
    return tuple(sorted(rules, key=lambda rule: rule.code))


@cache
def _node_rules() -> dict[type[NodeCondition], NodeRule]:
    return {rule.node_condition: rule for rule in own_rules() if isinstance(rule, NodeRule)}


def rule_of(condition: NodeCondition) -> NodeRule:
    """The rule that has the words for a condition on nodes."""
    return _node_rules()[type(condition)]


def find_rule(code_or_name: str) -> Rule | None:
    """A rule by its code or name, whatever the case."""
    wanted = code_or_name.strip().lower()
    return next((r for r in all_rules() if wanted in (r.code.lower(), r.name)), None)


def rule_for(condition: Condition) -> Rule:
    """The rule of `rules/` that reports a condition."""
    return next(rule for rule in own_rules() if rule.condition is condition)
