"""Writes docs/rules/, docs/recipes.md and rules/runtimes.json: python docs/make_rules.py

The pages are what `xnnlint explain CODE` and `xnnlint explain recipes` print; docs/rules/ has an index, too.
On which runtimes a rule finds something is tried with the models that the tests have for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from xnnlint.linter.budgets import budget_rules
from xnnlint.linter.engine import find
from xnnlint.linter.policy_check import policy_rules
from xnnlint.linter.rule import Rule
from xnnlint.linter.rule_registry import own_rules
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.reporters.topics.lookup import rule_page
from xnnlint.reporters.topics.recipes_page import overview
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile, runtimes

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "rules"
RECIPES = ROOT / "docs" / "recipes.md"
RUNTIMES = ROOT / "rules" / "runtimes.json"
FAMILIES = {
    "XNN1": "Operators that cannot run in NCHW",
    "XNN2": "Where a cluster begins and ends",
    "XNN3": "Weights",
    "XNN4": "Operators outside of XNNPACK",
    "XNN5": "CPU and arithmetic",
    "XNN6": "Poolings and what follows them",
    "XNN9": "What becomes of the model",
    "XNP": "What TFMOT's pruning policy refuses (`check --policy`)",
    "XNB": "Budgets of the configuration",
}


def every_rule() -> tuple[Rule, ...]:
    """xnnlint's own rules; those of other packages that are installed have their own documentation."""
    return (*own_rules(), *policy_rules(), *budget_rules())


def pages() -> dict[str, str]:
    """File names in `docs/rules/` with their text."""
    return {"README.md": _text(_index())} | {f"{rule.code}.md": _text(_page(rule)) for rule in every_rule()}


def recipes_text() -> str:
    """The text of `docs/recipes.md`."""
    return _text(iter(("# Recipes", "", *_spaced(overview().text))))


def found_on() -> dict[str, list[str]]:
    """Rules with examples -> the runtimes, newest first, on which a finding is in one of them."""
    sys.path.insert(0, str(ROOT))
    from tests.rules.case_parts import model as file_of
    from tests.rules.rule_cases import PAIRS

    found: dict[str, set[str]] = {}
    for pair in PAIRS:
        model = load_bytes(file_of(pair.bad, pair.metadata), f"{pair.rule}.tflite")
        for runtime in _runtimes():
            plan = make_plan(model, load_profile(runtime, pair.cpu))
            for rule in {finding.rule for finding in find(plan)} & {pair.rule}:
                found.setdefault(rule, set()).add(runtime)
    return {code: [runtime for runtime in _runtimes() if runtime in found[code]] for code in sorted(found)}


def runtimes_json() -> str:
    return json.dumps(found_on(), indent=1) + "\n"


def _runtimes() -> list[str]:
    return [name for name in runtimes() if not load_profile(name).is_portable]


def _index() -> Iterator[str]:
    yield from ("# Rules", "")
    yield "Made from the rules by `python docs/make_rules.py`; `xnnlint explain CODE` prints the same."
    for start, family in FAMILIES.items():
        yield from ("", f"## {family}", "", "| Code | Name | Severity | Condition |", "| --- | --- | --- | --- |")
        for rule in every_rule():
            if rule.code.startswith(start):
                condition = rule.summary.replace("|", "\\|")
                yield f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity.value} | {condition} |"


def _page(rule: Rule) -> Iterator[str]:
    """The documentation of a rule."""
    yield from (f"# {rule.code} {rule.name}", "", f"Severity: {rule.severity.value}. [All rules](README.md)", "")
    yield from _spaced(rule_page(rule).text)


def _spaced(text: str) -> Iterator[str]:
    """The lines, heads set off by empty lines, as Markdown asks."""
    for line in text.splitlines():
        yield from (line, "") if line.startswith("## ") else (line,)


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def main() -> None:
    RUNTIMES.write_text(runtimes_json(), encoding="utf-8")
    RECIPES.write_text(recipes_text(), encoding="utf-8")
    TARGET.mkdir(exist_ok=True)
    for path in TARGET.iterdir():
        path.unlink()
    for name, text in pages().items():
        (TARGET / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
