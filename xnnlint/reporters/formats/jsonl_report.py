"""JSON Lines: one line a model, written as soon as it is known; each follows `reporters/line.schema.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.model_row import Checked


class JsonlReport(CheckReport):
    """Only lines of models: who reads them expects one kind of record. What the run comes to goes to stderr."""

    name = "jsonl"
    streams = True
    takes_rows = True
    takes_lines = True
    keeps_rows = True

    def __init__(self, setting: ReportSetting) -> None:
        pass

    def add(self, model: ModelReport, judged: ModelJudgement) -> str:
        raise AssertionError("it takes rows")

    def add_row(self, checked: Checked) -> str:
        assert checked.line is not None
        return f"{checked.line}\n"
