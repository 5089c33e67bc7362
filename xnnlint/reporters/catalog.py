"""What xnnlint knows, for a person: its rules, a rule's documentation, the runtime profiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Applicability
from xnnlint.reporters.styled_lines import CAUTION, FAINT, GOOD, STRONG, Line, Span, wrap
from xnnlint.reporters.topics.page import VERBATIM
from xnnlint.xnnpack.profile import (
    DEFAULT_CPU,
    DEFAULT_RUNTIME,
    Fact,
    cpu_facts,
    cpus,
    runtime_facts,
    runtimes,
)

if TYPE_CHECKING:
    from xnnlint.fixes.fixable import FileKind
    from xnnlint.linter.rule import Rule
    from xnnlint.reporters.topics.page import Page

ASSUMED = (
    "This assumes that XNNPACK runs the operators, as it does by default. With LiteRT 2.3's option enable_ynnpack,"
    " YNNPACK takes operators first where it was built in. It has no NCHW rewrite, so what it takes never"
    " runs sparse."
)
_MARKS = {Applicability.SAFE: ("[*]", GOOD), Applicability.UNSAFE: ("[!]", CAUTION)}
_ITEM = re.compile(r"( *)[-*] ")


def rule_lines(rules: Mapping[Rule, Mapping[FileKind, Applicability]], width: int) -> Iterator[Line]:
    """Code, mark, severity and name of every rule, with its summary below; then what the marks mean.

    Args:
        rules: with the fixes that there are for each.
    """
    for rule, fixes in rules.items():
        best = _best(fixes)
        mark, style = _MARKS[best] if best is not None else ("   ", "")
        yield [
            Span(rule.code, STRONG),
            Span(" "),
            Span(mark, style),
            Span(" "),
            Span(rule.severity.value.ljust(7), rule.severity.value),
            Span(f"  {rule.name}"),
        ]
        yield from wrap([Span(rule.summary, FAINT)], width, 11)
    yield []
    if any(rules.values()):
        legend = "[*] xnnlint fix has a safe fix for some places: same outputs; [!] an unsafe one: train again"
        yield from wrap([Span(legend, FAINT)], width)
    yield [Span(f"More on a rule: xnnlint explain {next(iter(rules)).code}", STRONG)]


def rule_data(rules: Mapping[Rule, Mapping[FileKind, Applicability]]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity.value,
            "summary": rule.summary,
            "fixes": {kind.value: applicability.value for kind, applicability in fixes.items()},
        }
        for rule, fixes in rules.items()
    ]


def _best(fixes: Mapping[FileKind, Applicability]) -> Applicability | None:
    known = set(fixes.values())
    return Applicability.SAFE if Applicability.SAFE in known else next(iter(known), None)


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


def profile_data(name: str = "") -> dict[str, Any]:
    """Every runtime and CPU with its facts, as plain values; or one of them.

    Raises:
        XnnlintError: there is none of that name.
    """
    data: dict[str, Any] = {"default": {"runtime": DEFAULT_RUNTIME, "cpu": DEFAULT_CPU}}
    for kind in _kinds(name):
        data[kind.plural] = [
            {"name": entry, "title": title, "facts": _plain(kind.facts_of(entry))}
            for entry, title in kind.entries.items()
            if name in ("", entry)
        ]
    return data


def profile_list_lines(width: int) -> Iterator[Line]:
    """A line for every runtime and CPU."""
    for number, kind in enumerate(_kinds("")):
        if number:
            yield []
        yield [Span(f"{kind.title} ({kind.option}; default {kind.default})", STRONG)]
        size = max(map(len, kind.entries))
        for entry, title in kind.entries.items():
            yield from wrap([Span(entry.ljust(size), STRONG, keep=True), f"  {title}"], width, 2, size + 4)
    yield [Span(f"The facts of one of them: xnnlint profiles {DEFAULT_RUNTIME}", STRONG)]


def profile_facts_lines(name: str, width: int) -> Iterator[Line]:
    """Every fact of a runtime or CPU: its value, how it is known, and its source.

    Raises:
        XnnlintError: there is none of that name.
    """
    (kind,) = _kinds(name)
    yield from wrap([Span(name, STRONG, keep=True), f"  {kind.entries[name]}"], width, 0, 2)
    for key, fact in kind.facts_of(name).items():
        how = "seen in a run" if fact.verified == "run" else "read in the source"
        yield from wrap([f"{key} = {_value(fact.value)}  ", Span(f"({how})", FAINT)], width, 2, 4)
        yield from wrap([Span(fact.source, FAINT)], width, 4, 4)
    if kind.plural == "runtimes":
        yield from wrap([ASSUMED], width)


class _Kind(NamedTuple):
    plural: str
    title: str
    option: str
    default: str
    entries: dict[str, str]
    facts_of: Callable[[str], dict[str, Fact]]


def _kinds(name: str) -> list[_Kind]:
    """Both kinds of profiles, or the one that has a name."""
    both = [
        _Kind("runtimes", "Runtimes", "--runtime", DEFAULT_RUNTIME, runtimes(), runtime_facts),
        _Kind("cpus", "CPUs", "--cpu", DEFAULT_CPU, cpus(), cpu_facts),
    ]
    found = [kind for kind in both if not name or name in kind.entries]
    if not found:
        raise XnnlintError(f"unknown runtime or CPU {name!r}; known are {', '.join([*runtimes(), *cpus()])}")
    return found


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
