"""`xnnlint compare` as Markdown, for a comment on a pull request or a job's summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.linter.comparison import Aspect, Change
from xnnlint.reporters.compare_words import fact_rows, finding_sentence, operator_rows, time_note, verdict
from xnnlint.reporters.formats.markdown_report import code, text

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Comparison

SHOWN = 50
_MARKS = {Change.BETTER: "better", Change.WORSE: "**worse**", Change.SAME: "", Change.UNKNOWN: ""}


def comparison_markdown(compared: Comparison, worse: list[Aspect]) -> str:
    """One page: the verdict, the facts, what runs otherwise, findings gained and lost."""
    before, after = code(compared.before.path), code(compared.after.path)
    lines = [f"## xnnlint: {text(verdict(compared, worse))}", ""]
    lines += [f"| | {before} | {after} | | |", "| --- | --- | --- | --- | --- |"]
    for row in fact_rows(compared):
        cells = (row.title, text(row.before), text(row.after), text(row.note), _MARKS[row.change])
        lines.append(f"| {' | '.join(cells)} |")
    if note := time_note(compared):
        lines += ["", text(note)]
    rows = list(operator_rows(compared))
    if rows:
        lines += ["", f"### Operators that differ: {len(rows)}", ""]
        lines += ["| Name | Before | After | Zeros | us |", "| --- | --- | --- | --- | --- |"]
        for operator in rows[:SHOWN]:
            named = [code(operator.name), *map(text, operator[1:5])]
            lines.append(f"| {' | '.join(named)} |")
    for title, findings in (("Findings lost", compared.lost), ("Findings gained", compared.gained)):
        if findings:
            lines += ["", f"### {title}: {len(findings)}", ""]
            lines += [f"- {text(finding_sentence(finding))}" for finding in findings[:SHOWN]]
    return "\n".join(lines) + "\n"
