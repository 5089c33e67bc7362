"""Which rules are reported: selectors from several places, later over earlier ones, specific over general ones.

A selector is a rule's code (`XNN203`), the start of codes (`XNN2`), a rule's name, or `ALL`. Selecting only decides
what is reported. The plan, the outcome and the demand for a sparse model never change by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from xnnlint.cache.answers import is_off, store
from xnnlint.cache.fingerprints import program
from xnnlint.cache.store import key_of
from xnnlint.linter.families import BUDGETS

ALL = "ALL"
_CODE = re.compile(r"[A-Z]+[0-9]*")
_EXACT = 1000


class Known(NamedTuple):
    """A rule as selectors see it."""

    code: str
    name: str


def known_rules() -> tuple[Known, ...]:
    """All rules that a selector can mean.

    Importing them takes as long as a small check, so their names are remembered for those whose models are, too; but
    not with rules of other packages, which only their own code names.
    """
    if is_off():
        return _imported()
    kept, key = store(), key_of(["rules", program()])
    found = kept.read(key)
    if isinstance(found, list):
        return tuple(Known(code, name) for code, name in found)
    rules = _imported()
    if not has_plugins():
        kept.write(key, [[rule.code, rule.name] for rule in rules])
    return rules


def _imported() -> tuple[Known, ...]:
    from xnnlint.linter.known_rules import every_rule

    return tuple(Known(rule.code, rule.name) for rule in every_rule())


def has_plugins() -> bool:
    """Whether rules of other packages have a say, whose code may be anywhere."""
    from xnnlint.linter.plugins import may_be_some

    if not may_be_some():
        return False
    from xnnlint.linter.rule_registry import all_rules

    return any(rule.package for rule in all_rules())


class Selection(NamedTuple):
    """The selectors of one place; `select` None keeps what the places before it chose."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()


def is_reported(code: str, name: str, layers: Iterable[Selection]) -> bool:
    """Whether a rule is reported. Within a place the longer selector wins, and of two of one length the one to ignore.

    A budget is selected by being set: leaving it out of what is selected does not silence it, ignoring does.
    """
    reported = True
    for layer in layers:
        against = strength(code, name, layer.ignore)
        in_favour = strength(code, name, layer.select or ())
        if layer.select is not None and (in_favour >= 0 or not code.startswith(BUDGETS)):
            reported = in_favour > against
        elif against >= 0:
            reported = False
    return reported


def strength(code: str, name: str, selectors: Iterable[str]) -> int:
    """How specific the most specific selector is that means a rule; -1 where none does."""
    return max((_strength(code, name, selector) for selector in selectors), default=-1)


def _strength(code: str, name: str, selector: str) -> int:
    if selector.upper() == ALL:
        return 0
    if selector.upper() == code or selector.lower() == name:
        return _EXACT
    prefix = selector.upper()
    return len(prefix) if _CODE.fullmatch(prefix) and code.startswith(prefix) else -1


def means_any(selector: str, rules: Sequence[Known]) -> bool:
    return any(_strength(rule.code, rule.name, selector) >= 0 for rule in rules)
