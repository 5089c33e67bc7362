"""One line a finding, for grep and for editors: `path:layer: CODE message`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.finding_words import condition
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import STRONG, Line, Span, as_plain, from_plain, name, safe

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.check_report import ModelJudgement


class ConciseReport(KeepingReport):
    """A line for each finding."""

    name = "concise"
    for_people = True
    counts_rules = True

    def __init__(self, setting: ReportSetting) -> None:
        self._statistics = Statistics() if setting.statistics else None

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        return {"lines": [as_plain(line) for line in finding_lines(model)], "rules": Statistics.taken(model)}

    def put(self, taken: dict[str, Any]) -> list[Line]:
        if self._statistics is not None:
            self._statistics.put(taken["rules"])
        return [from_plain(line) for line in taken["lines"]]

    def end(self, exit_code: int) -> list[Line]:
        return self._statistics.lines() if self._statistics is not None else []


def finding_lines(model: ModelReport) -> Iterator[Line]:
    """A line for each finding; one about the whole model names no layer."""
    for finding in model.findings:
        where = "".join(f":{part}" for part in [_layer(finding)] if part)
        yield [
            Span(f"{safe(model.path)}{where}: "),
            Span(finding.rule, STRONG),
            Span(f" {condition(finding)}"),
        ]


def _layer(finding: Finding) -> str:
    """The layer's name, or its operator's type and number where it has none."""
    where = finding.location
    if where.name or where.tensor:
        return name(where.name or where.tensor)
    return f"{safe(where.type)}#{where.op}" if where.op is not None else ""
