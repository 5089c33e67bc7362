"""Writes docs/rules.md from the rules' own documentation: python docs/make_rules.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xnnlint.rule import Rule, all_rules

TARGET = Path(__file__).parent / "rules.md"
KINDS = {
    "1": "Operators that cannot run in NCHW",
    "2": "Where a cluster begins and ends",
    "3": "Weights",
    "4": "Operators outside of XNNPACK",
    "5": "CPU and arithmetic",
    "6": "Poolings and what follows them",
    "9": "What becomes of the model",
}


def text() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Rules"
    yield ""
    yield "Made from the rules by `python docs/make_rules.py`; `xnnlint explain CODE` prints the same."
    for digit, kind in KINDS.items():
        rules = [rule for rule in all_rules() if rule.code[3] == digit]
        yield from ("", f"**{kind}**", "", "| Code | Name | Severity | Condition |", "| --- | --- | --- | --- |")
        for rule in rules:
            anchor = f"{rule.code}-{rule.name}".lower()
            condition = rule.summary.replace("|", "\\|")
            yield f"| [{rule.code}](#{anchor}) | {rule.name} | {rule.severity.value} | {condition} |"
    for rule in all_rules():
        yield from ("", f"## {rule.code} {rule.name}", "", *_documentation(rule))


def _documentation(rule: Rule) -> Iterator[str]:
    """The documentation, its sections a level deeper and set off by empty lines, as Markdown asks."""
    for line in rule.documentation.splitlines():
        if line.startswith("## "):
            yield from (f"#{line}", "")
        else:
            yield line


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
