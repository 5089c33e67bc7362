"""`xnnlint compare` in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xnnlint.linter.comparison import Aspect, Change
from xnnlint.reporters.compare_words import OperatorRow, fact_rows, finding_sentence, operator_rows, time_note, verdict
from xnnlint.reporters.styled_lines import BAD, FAINT, GOOD, PLAIN, STRONG, Line, Span, columns, name, shorten, wrap

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Comparison
    from xnnlint.linter.findings import Finding

SHOWN_OPERATORS = 20
SHOWN_FINDINGS = 10
NARROWEST_NAME = 16
_STYLES = {Change.BETTER: GOOD, Change.WORSE: BAD, Change.SAME: PLAIN, Change.UNKNOWN: PLAIN}


def comparison_lines(compared: Comparison, worse: list[Aspect], width: int, *, verbose: bool = False) -> Iterator[Line]:
    """The whole report.

    Args:
        worse: the aspects that count, in which the second model is worse.
        width: columns of the terminal.
        verbose: whether to show every operator and finding that differs.
    """
    yield from wrap([Span(verdict(compared, worse), BAD if worse else STRONG)], width)
    yield []
    yield from _facts(compared, width)
    if note := time_note(compared):
        yield from wrap([Span(note, FAINT)], width, 2)
    rows = list(operator_rows(compared))
    if rows:
        yield []
        yield from _operators(rows, width, len(rows) if verbose else SHOWN_OPERATORS)
    for title, sign, findings in (("Findings lost", "-", compared.lost), ("Findings gained", "+", compared.gained)):
        if findings:
            yield []
            yield from _findings(title, sign, findings, width, len(findings) if verbose else SHOWN_FINDINGS)


def _facts(compared: Comparison, width: int) -> Iterator[Line]:
    """A line for each fact: its title, both values, a note."""
    rows = list(fact_rows(compared))
    models = [name(compared.before.path), name(compared.after.path)]
    if models[0] == models[1]:
        yield [Span(f"  {models[0]}", STRONG)]
    else:
        for title, model in zip(("before", "after"), models, strict=True):
            yield [Span(f"  {title.ljust(9)}"), Span(shorten(model, width - 11), STRONG)]
    titles = max(columns(row.title) for row in rows)
    first, second = (max(columns(row[i]) for row in rows) for i in (1, 2))
    for row in rows:
        head = f"  {row.title.ljust(titles)}  {row.before.ljust(first)}  "
        line = [Span(head), Span(row.after.ljust(second), _STYLES[row.change])]
        if row.note and columns(head) + second + 2 + columns(row.note) <= width:
            line.append(Span(f"  {row.note}", FAINT))
        yield line


def _operators(rows: Sequence[OperatorRow], width: int, shown: int) -> Iterator[Line]:
    """A table of what differs; kernels that changed before what is new or gone."""
    both = [row for row in rows if "-" not in (row.before, row.after)]
    rest = [row for row in rows if "-" in (row.before, row.after)]
    chosen = [*both, *rest][:shown]
    titles = OperatorRow("name", "before", "after", "zeros", "us", Change.UNKNOWN)
    sizes = [max(columns(row[i]) for row in (titles, *chosen)) for i in range(1, 5)]
    room = max(width - sum(sizes) - 2 * (len(sizes) + 1), NARROWEST_NAME)
    cut = sum(sizes) + 2 * (len(sizes) + 1) + room > width
    if cut:  # then the kernels give way
        over = sum(sizes) + 2 * (len(sizes) + 1) + room - width
        sizes[0] -= over // 2
        sizes[1] -= over - over // 2
    called = [shorten(name(row.name), room) for row in chosen]
    room = max(map(columns, [titles.name, *called]))
    for row, text in zip((titles, *chosen), (titles.name, *called), strict=True):
        cells = [shorten(cell, size).ljust(size) for cell, size in zip(row[1:5], sizes, strict=True)]
        style = FAINT if row is titles else _STYLES[row.change]
        yield [Span(f"  {text}{' ' * (room - columns(text))}  {'  '.join(cells)}", style)]
    if len(rows) > shown:
        yield [Span(f"  and {len(rows) - shown} more operators differ; --verbose shows them", FAINT)]


def _findings(title: str, sign: str, findings: Sequence[Finding], width: int, shown: int) -> Iterator[Line]:
    yield [Span(f"{title}: {len(findings)}", STRONG)]
    for finding in findings[:shown]:
        yield [Span(f"  {sign} {shorten(name(finding_sentence(finding)), width - 4)}")]
    if len(findings) > shown:
        yield [Span(f"  and {len(findings) - shown} more; --verbose shows them", FAINT)]
