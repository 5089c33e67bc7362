"""What xnnlint knows, for a person: its rules, a rule's documentation, the runtime profiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.styled_lines import FAINT, STRONG, Line, Span, wrap
from xnnlint.reporters.topics.page import VERBATIM
from xnnlint.xnnpack.profile import (
    DEFAULT_CPU,
    DEFAULT_RUNTIME,
    PORTABLE,
    Fact,
    cpu_facts,
    cpus,
    runtime_facts,
    runtimes,
)

if TYPE_CHECKING:
    from xnnlint.linter.rule import Rule
    from xnnlint.reporters.topics.page import Page

_ITEM = re.compile(r"( *)[-*] ")


def rule_lines(rules: Iterable[Rule], width: int) -> Iterator[Line]:
    """Code, severity and name of every rule, with its summary below; then how to read more of one."""
    rules = list(rules)
    for rule in rules:
        yield [
            Span(rule.code, STRONG),
            Span("  "),
            Span(rule.severity.value.ljust(7), rule.severity.value),
            Span(f"  {rule.name}"),
        ]
        yield from wrap([Span(rule.summary, FAINT)], width, 8)
    if rules:
        yield from ([], [Span(f"More on a rule: xnnlint explain {rules[0].code}", STRONG)])


def page_lines(pages: Iterable[Page], width: int) -> Iterator[Line]:
    """Pages of `xnnlint explain`, section heads marked, paragraphs wrapped; code and tables stay as they are."""
    for number, page in enumerate(pages):
        if number:
            yield []
        if page.kind == VERBATIM:
            yield from ([Span(line)] for line in page.text.splitlines())
            continue
        title, _, rest = page.title.partition(" ")
        look = page.note if page.kind == "rule" else FAINT
        yield [Span(title, STRONG), Span(f"{rest and ' '}{rest} ("), Span(page.note, look), Span(")")]
        yield []
        yield from _text_lines(page.text, width)


def _text_lines(markdown: str, width: int) -> Iterator[Line]:
    paragraph: list[str] = []
    in_code = False
    for text in markdown.splitlines():
        fence = text.lstrip().startswith("```")
        item = not in_code and _ITEM.match(text)
        keep = in_code or fence or text.startswith(("    ", "#", "|")) or text.endswith("::")
        if keep or item or not text.strip():
            yield from _wrapped(paragraph, width)
            paragraph = []
        in_code = in_code != fence
        if (keep and not item) or not text.strip():
            yield [Span(text, STRONG if text.startswith("#") and not in_code else "")]
        else:
            paragraph.append(text.rstrip() if item else text.strip())
    yield from _wrapped(paragraph, width)


def _wrapped(paragraph: list[str], width: int) -> list[Line]:
    if not paragraph:
        return []
    item = _ITEM.match(paragraph[0])
    indent = len(item[1]) if item else 0
    return wrap([" ".join(paragraph).strip()], width, indent, indent + 2 if item else 0)


def profile_data() -> dict[str, Any]:
    """Every runtime and CPU with its facts, as plain values."""
    return {
        "default": {"runtime": DEFAULT_RUNTIME, "cpu": DEFAULT_CPU},
        "runtimes": [
            {"name": name, "title": title, "facts": _plain(runtime_facts(name))} for name, title in runtimes().items()
        ],
        "cpus": [{"name": name, "title": title, "facts": _plain(cpu_facts(name))} for name, title in cpus().items()],
    }


def profile_lines(width: int) -> Iterator[Line]:
    """Every runtime and CPU with its facts, each with its value, how it is known, and its source."""
    yield from _kind("Runtimes", "--runtime", runtimes(), DEFAULT_RUNTIME, runtime_facts, width)
    yield []
    yield from _kind("CPUs", "--cpu", cpus(), DEFAULT_CPU, cpu_facts, width)


def _kind(
    title: str,
    option: str,
    entries: dict[str, str],
    default: str,
    facts_of: Callable[[str], dict[str, Fact]],
    width: int,
) -> Iterator[Line]:
    """All of a kind; of those after the default one, what differs from it."""
    yield [Span(title, STRONG), Span(f" ({option}; default {default})")]
    usual = facts_of(default)
    for name, about in entries.items():
        yield []
        yield from wrap([Span(name, STRONG, keep=True), f"  {about}"], width, 2, 4)
        facts = facts_of(name)
        if name == PORTABLE:
            continue
        if name != default:
            facts = {key: fact for key, fact in facts.items() if key not in usual or fact.value != usual[key].value}
            yield from wrap([Span(f"as {default}{', but' if facts else ''}", FAINT)], width, 4)
        for key, fact in facts.items():
            how = "seen in a run" if fact.verified == "run" else "read in the source"
            yield from wrap([f"{key} = {_value(fact.value)}  ", Span(f"({how})", FAINT)], width, 4, 6)
            yield from wrap([Span(fact.source, FAINT)], width, 6, 6)


def _plain(facts: dict[str, Fact]) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": fact.value, "source": fact.source, "verified": fact.verified}
        for name, fact in facts.items()
    ]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
