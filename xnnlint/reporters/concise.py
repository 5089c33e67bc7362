"""One line a finding, for grep and for editors: `path:layer: CODE message`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import STRONG, Line, Span, name, safe
from xnnlint.reporters.words import condition

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.formats import Judgement, Setting


class ConciseReport:
    def __init__(self, setting: Setting) -> None:
        self._statistics = Statistics() if setting.statistics else None

    def begin(self) -> list[Line]:
        return []

    def add(self, model: ModelReport, judged: Judgement) -> list[Line]:
        if self._statistics is not None:
            self._statistics.add(model)
        return list(finding_lines(model))

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
