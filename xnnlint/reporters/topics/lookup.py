"""Finds what `xnnlint explain` is asked for: rules by code and name, the outcomes, the recipes, TFLite's operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError
from xnnlint.linter.known_rules import every_rule, find_any_rule
from xnnlint.reporters.topics import agents_page
from xnnlint.reporters.topics.outcomes_page import ALL, UNKNOWN, outcome_page, overview, unknown_page
from xnnlint.reporters.topics.page import Page
from xnnlint.reporters.topics.runtimes_page import runtimes_text
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import cpus, runtimes

if TYPE_CHECKING:
    from xnnlint.linter.rule import Rule


def pages(asked: str) -> list[Page]:
    """Every page with that title: a rule may be called as an outcome is.

    Raises:
        XnnlintError: there is none; the sentence says what may have been meant.
    """
    found = list(_pages(asked.strip()))
    if not found:
        kind = next((kind for kind, known in (("runtime", runtimes()), ("CPU", cpus())) if asked in known), "")
        if kind:
            raise XnnlintError(f"{asked} is a {kind}; `xnnlint profiles` lists what is known of it")
        raise XnnlintError(
            f"nothing to explain by the name {asked!r}{_suggestion(asked)} (`xnnlint rules` lists the rules; outcomes, "
            "recipes and operators such as CONV_2D are known, too)"
        )
    return found


def _pages(asked: str) -> Iterator[Page]:
    folded = asked.lower().replace("_", "-")
    for outcome in Outcome:
        if folded == outcome.value:
            yield outcome_page(outcome)
    if folded == UNKNOWN:
        yield unknown_page()
    if folded in (ALL, ALL.rstrip("s")):
        yield overview()
    if folded == agents_page.NAME:
        yield agents_page.agents_page()
    yield from _recipe_pages(folded)
    rule = find_any_rule(asked) or find_any_rule(folded)
    if rule is not None:
        yield rule_page(rule)
        return
    operator = _operators().get(_operator_key(asked))
    if operator is not None:
        from xnnlint.reporters.topics.operators_page import operator_page

        yield operator_page(operator)


def _recipe_pages(folded: str) -> Iterator[Page]:
    from xnnlint.reporters.topics import recipes_page
    from xnnlint.reporters.topics.recipes import RECIPES

    if folded in (recipes_page.ALL, recipes_page.ALL.rstrip("s")):
        yield recipes_page.overview()
    yield from (recipes_page.recipe_page(recipe) for recipe in RECIPES if folded == recipe.name)


def rule_page(rule: Rule) -> Page:
    """A rule's documentation, with the runtimes that it is about."""
    runtimes = runtimes_text(rule.code)
    more = f"\n\n## Runtimes\n{runtimes}" if runtimes else ""
    return Page("rule", f"{rule.code} {rule.name}", rule.severity.value, rule.documentation.rstrip() + more)


def _operators() -> dict[str, str]:
    """Operators by a name without case and separators: Conv2D is CONV_2D."""
    from xnnlint.reporters.topics.operators_page import operator_names

    return {_operator_key(name): name for name in operator_names()}


def _operator_key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _suggestion(asked: str) -> str:
    """What may have been meant, at most two of them."""
    from xnnlint.config.keys import suggestion
    from xnnlint.reporters.topics.recipes import RECIPES
    from xnnlint.reporters.topics.recipes_page import ALL as ALL_RECIPES

    known = [name for rule in every_rule() for name in (rule.code, rule.name)]
    known += [outcome.value for outcome in Outcome]
    known += [UNKNOWN, ALL, ALL_RECIPES, agents_page.NAME, *(recipe.name for recipe in RECIPES)]
    return suggestion(asked, [*known, *_operators().values()])
