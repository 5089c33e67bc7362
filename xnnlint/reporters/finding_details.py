"""A finding in full: its rule's condition and sources, what it unlocks, what to change and what `xnnlint fix` does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Applicability, Fix, smallest_set
from xnnlint.reporters.causes import source_of
from xnnlint.reporters.finding_words import counted, place, share_text
from xnnlint.reporters.styled_lines import FAINT, PLAIN, STRONG, Line, Piece, Span, safe, wrap

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport

_LABEL = 12  # columns of "xnnlint fix " and the like
_APPLICABILITY = {
    Applicability.SAFE: " (safe: same outputs)",
    Applicability.UNSAFE: " (unsafe: other outputs, train again)",
    Applicability.MANUAL: "",
}


def detail_lines(finding: Finding, model: ModelReport, width: int) -> Iterator[Line]:
    """Everything about one finding."""
    head: list[Piece] = [
        Span(finding.rule, STRONG, keep=True),
        " ",
        Span(finding.severity.value, finding.severity.value, keep=True),
        "  ",
        Span(finding.name, PLAIN, keep=True),
    ]
    where = place(finding)
    if where:
        head += ["  ", Span(where, STRONG, keep=True)]
    yield from wrap(head, width, 0, 2)
    yield from wrap([safe(finding.message)], width, 2)
    for label, text in _rows(finding, model):
        yield from wrap([Span(label.ljust(_LABEL), FAINT, keep=True), text], width, 2, 2 + _LABEL)


def _rows(finding: Finding, model: ModelReport) -> Iterator[tuple[str, str]]:
    if finding.required:
        yield "needs", safe(finding.required)
    if finding.actual:
        yield "has", safe(finding.actual)
    if unlocks := _unlocks(finding, model):
        yield "unlocks", unlocks
    for label, fix in ((source_of(model, finding), finding.fix), ("xnnlint fix", finding.repair)):
        if fix is not None:
            yield label, _fix(fix)
    yield from _rule_rows(finding)


def _fix(fix: Fix) -> str:
    return safe(fix.title) + _APPLICABILITY[fix.applicability]


def _unlocks(finding: Finding, model: ModelReport) -> str:
    unlock = finding.unlocks
    if unlock is None:
        return ""
    others = len(smallest_set(model.findings)) - 1
    together = unlock.in_smallest_set and unlock.with_others > unlock.alone and others > 0
    behind = f"{counted(unlock.with_others, '1x1 convolution')} with {counted(others, 'other change')}"
    if unlock.alone:
        text = f"{counted(unlock.alone, '1x1 convolution')} ({share_text(unlock.alone_macs)} of their MACs) by itself"
        return text + (f"; {behind}" if together else "")
    return f"{behind}, none by itself" if together else "nothing by itself"


def _rule_rows(finding: Finding) -> Iterator[tuple[str, str]]:
    """The condition that the finding's rule asks for, and where that comes from."""
    from xnnlint.linter.known_rules import find_any_rule

    rule = find_any_rule(finding.rule)
    if rule is not None:
        yield "rule", safe(rule.summary)
        _, _, references = rule.documentation.partition("## References")
        for entry in re.split(r"\n+- ", references)[1:]:
            yield "source", " ".join(entry.split())
