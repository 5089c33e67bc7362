"""The report for a person: of one model a page, of several a table; with --verbose everything about each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import STRONG, Line, Span, as_plain, from_plain, wrap
from xnnlint.reporters.tally import ModelTally

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.check_report import ModelJudgement
    from xnnlint.reporters.model_row import Checked
    from xnnlint.reporters.models_table import ModelsTable
    from xnnlint.reporters.zoo_summary import ZooSummary


class TextReport(KeepingReport):
    """For a person; a model that cannot be read is left to stderr."""

    name = "text"
    for_people = True
    counts_rules = True

    def __init__(self, setting: ReportSetting) -> None:
        self._setting = setting
        self._tally = ModelTally()
        self._statistics = Statistics() if setting.statistics else None
        in_full = setting.verbose or setting.with_plan
        width = None if setting.for_pipe else setting.width
        self._table: ModelsTable | None = None
        self._zoo: ZooSummary | None = None
        if setting.of_several and not in_full:
            from xnnlint.reporters.models_table import ModelsTable
            from xnnlint.reporters.zoo_summary import ZooSummary

            self._table = ModelsTable(setting.names, setting.profile, width)
            self._zoo = ZooSummary(setting.names)
        self.takes_rows = self._table is not None
        self._rows = 0

    def add_row(self, checked: Checked) -> list[Line]:
        row = checked.row
        assert self._table is not None
        assert self._zoo is not None
        self._tally.add_row(row)
        self._zoo.add(row)
        if self._statistics is not None:
            self._statistics.add_row(row)
        if row.error is not None or (self._setting.quiet and not row.exit_code):
            return []
        self._rows += 1
        line = self._table.row(row)
        return [*self._table.title(), self._table.head(), line] if self._rows == 1 else [line]

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        setting = self._setting
        found: dict[str, Any] = {"counts": ModelTally.taken(model)}
        if self._statistics is not None:
            found["rules"] = Statistics.taken(model)
        if model.error is not None:
            return found
        from xnnlint.reporters.model_page import model_lines

        lines = model_lines(
            model,
            judged.profile or setting.profile,
            setting.width,
            failed=judged.fails(model),
            with_plan=setting.with_plan,
            for_pipe=setting.for_pipe,
            verbose=setting.verbose,
        )
        return found | {"lines": [as_plain(line) for line in lines]}

    def put(self, taken: dict[str, Any]) -> list[Line]:
        self._tally.put(taken["counts"])
        if self._statistics is not None:
            self._statistics.put(taken["rules"])
        return [*map(from_plain, taken["lines"]), []] if "lines" in taken else []

    def end(self, exit_code: int) -> list[Line]:
        lines: list[Line] = []
        if self._table is not None and self._rows and not self._setting.quiet:
            lines += [*self._table.legend(), []]
        if self._statistics is not None and self._statistics.rows():
            lines += [*self._statistics.lines(), []]
        if self._zoo is not None and not self._setting.quiet:
            lines += self._zoo.lines(self._setting.width)
        some = self._tally.models > 1 or (self._tally.models and not self._tally.unreadable)
        if some and not self._setting.quiet:
            lines += summary_lines(self._tally, self._setting.width, exit_code)
        return lines


def summary_lines(models: ModelTally, width: int, exit_code: int) -> list[Line]:
    """One paragraph over all files."""
    found, code, last = models.text(exit_code).rpartition("Exit code")
    return wrap([Span(found, STRONG), Span(code + last, STRONG, keep=True)], width)
