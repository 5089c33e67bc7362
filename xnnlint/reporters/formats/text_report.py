"""The report for a person: of one model a page, of several a table; with --verbose everything about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.reporters.causes import why_lines
from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting
from xnnlint.reporters.finding_details import detail_lines
from xnnlint.reporters.headline import headline, meaning
from xnnlint.reporters.models_table import ModelsTable
from xnnlint.reporters.next_steps import next_lines
from xnnlint.reporters.plan_table import plan_table
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import STRONG, Line, Span, wrap
from xnnlint.reporters.tally import ModelTally
from xnnlint.reporters.zoo_summary import ZooSummary

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.model_row import Checked
    from xnnlint.xnnpack.profile import Profile


class TextReport(CheckReport):
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
        self._table = None if in_full or len(setting.names) < 2 else ModelsTable(setting.names, setting.profile, width)
        self._zoo = ZooSummary(setting.names)
        self.takes_rows = self._table is not None
        self._rows = 0

    def add_row(self, checked: Checked) -> list[Line]:
        row = checked.row
        self._tally.add_row(row)
        self._zoo.add(row)
        if self._statistics is not None:
            self._statistics.add_row(row)
        if row.error is not None or (self._setting.quiet and not row.exit_code):
            return []
        assert self._table is not None
        self._rows += 1
        line = self._table.row(row)
        return [*self._table.title(), self._table.head(), line] if self._rows == 1 else [line]

    def add(self, model: ModelReport, judged: ModelJudgement) -> list[Line]:
        setting = self._setting
        self._tally.add(model)
        if self._statistics is not None:
            self._statistics.add(model)
        if model.error is not None:
            return []
        lines = model_lines(
            model,
            judged.profile or setting.profile,
            setting.width,
            failed=judged.fails(model),
            with_plan=setting.with_plan,
            for_pipe=setting.for_pipe,
            verbose=setting.verbose,
        )
        return [*lines, []]

    def end(self, exit_code: int) -> list[Line]:
        lines: list[Line] = []
        if self._table is not None and self._rows and not self._setting.quiet:
            lines += [*self._table.legend(), []]
        if self._statistics is not None and self._statistics.rows():
            lines += [*self._statistics.lines(), []]
        if not self._setting.quiet:
            lines += self._zoo.lines(self._setting.width)
        some = self._tally.models > 1 or (self._tally.models and not self._tally.unreadable)
        if some and not self._setting.quiet:
            lines += summary_lines(self._tally, self._setting.width, exit_code)
        return lines


def model_lines(
    model: ModelReport,
    profile: Profile,
    width: int,
    *,
    failed: bool = False,
    with_plan: bool = False,
    for_pipe: bool = False,
    verbose: bool = False,
) -> list[Line]:
    """A page on one model that was read: the outcome, why it is that, and what to type next.

    Args:
        width: columns to wrap at.
        failed: whether it makes the exit code 1.
        with_plan: add the table of operators.
        for_pipe: keep the verdict in one line and every name whole, whatever the width: programs read them.
        verbose: every finding by itself, with its rule's condition and the sources of that.
    """
    lines = headline(model, profile, None if for_pipe else width, failed=failed)
    lines += meaning(model, profile, width, for_pipe=for_pipe, verbose=verbose)
    if with_plan and model.plan is not None:
        prediction = model.speed.prediction if model.speed is not None else None
        lines += [[], *plan_table(model.plan, None if for_pipe else width, prediction)]
    why = why_lines(model, width, for_pipe=for_pipe, in_detail=verbose)
    if verbose:
        for finding in model.findings:
            why += [[], *detail_lines(finding, model, width)]
    for part in (why, next_lines(model, width)):
        lines += [[], *part] if part else []
    return lines


def summary_lines(models: ModelTally, width: int, exit_code: int) -> list[Line]:
    """One paragraph over all files."""
    found, code, last = models.text(exit_code).rpartition("Exit code")
    return wrap([Span(found, STRONG), Span(code + last, STRONG, keep=True)], width)
