"""Markdown for a CI job's summary: a table of the models, then the findings of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.finding_words import condition, group, impersonal, outcome_of, percent, place, remedy
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import name, safe
from xnnlint.reporters.tally import ModelTally

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.check_report import ModelJudgement

SHOWN_PLACES = 10
LARGEST = 900_000
"""Characters after which only the models' own rows go on: GitHub shows no summary of more than 1 MiB."""

_ALWAYS = str.maketrans({c: f"&#{ord(c)};" for c in "\\`*[]<>|&~#!$@{}^"})
_CODE = re.compile(r"[\w./:;,+=()# -]+", re.ASCII)


class MarkdownReport(KeepingReport):
    """One page, at the end."""

    name = "markdown"
    for_people = True
    counts_rules = True

    def __init__(self, setting: ReportSetting) -> None:
        self._setting = setting
        self._tally = ModelTally()
        self._statistics = Statistics()
        self._parts = _Parts()

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        from xnnlint.reporters.value_words import not_measured

        speed = model.speed
        return {
            "counts": ModelTally.taken(model),
            "rules": Statistics.taken(model),
            "row": model_row(model, judged.fails(model)),
            "note": None if speed is None or speed.now is None else not_measured(speed.prediction),
            "details": list(details(model, judged.failures)),
        }

    def put(self, taken: dict[str, Any]) -> str:
        self._tally.put(taken["counts"])
        self._statistics.put(taken["rules"])
        self._parts.rows.append(taken["row"])
        if taken["note"] is not None:
            self._parts.note = taken["note"] or self._parts.note or ""
        self._parts.add(taken["details"])
        return ""

    def end(self, exit_code: int) -> str:
        profile = self._setting.profile
        lines = [f"## xnnlint: {text(self._tally.counts())}" if self._tally.models else "## xnnlint: no models", ""]
        lines += [f"Forecast for {text(profile.runtime_title)} on {text(profile.cpu_title)}.", ""]
        lines += ["| Model | Check | Outcome | SpMM | Zeros | Speed | Findings |", f"|{' --- |' * 7}"]
        lines += self._parts.rows
        if self._parts.note is not None:
            note = f", {self._parts.note}" if self._parts.note else ""
            lines += ["", f"Speed: predicted, times as fast as the same model run dense{note}."]
        lines += self._parts.details
        if self._parts.left_out:
            lines += ["", f"The findings of {self._parts.left_out} more models are left out: the summary is too large."]
        if self._setting.statistics:
            lines += ["", "### Rules", "", "| Findings | Models | Rule |", "| --- | --- | --- |"]
            for count, models, rule, rule_name in self._statistics.rows():
                lines.append(f"| {count} | {models} | {rule} {text(rule_name)} |")
        return "\n".join(lines) + "\n"


class _Parts(Struct):
    rows: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    size: int = 0
    left_out: int = 0
    note: str | None = None  # of the speeds, once there is one

    def add(self, lines: list[str]) -> None:
        self.size += sum(len(line) + 1 for line in lines)
        if not lines or self.size <= LARGEST:
            self.details += lines
        else:
            self.left_out += 1


def text(words: str) -> str:
    """Text that Markdown shows as it is, in a table, too; nothing in it is read as markup, HTML or a mention."""
    escaped = safe(words).translate(_ALWAYS)
    # Between letters an underscore is one; elsewhere it may start emphasis.
    escaped = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", "&#95;", escaped)
    return re.sub(r"(?i)\b(www)\.|(?<=[a-z]):(?=//)", lambda m: f"{m[1]}&#46;" if m[1] else "&#58;", escaped)


def code(words: str) -> str:
    """A name: in a code span if it is a tame one, else as escaped text."""
    shown = name(words)
    return f"`{shown}`" if _CODE.fullmatch(shown) and shown.strip() == shown else text(shown)


def model_row(model: ModelReport, failed: bool) -> str:
    """The model's row in the first table."""
    summary = model.plan.summary if model.plan is not None else None
    share = f"{summary.spmm} of {summary.pointwise_convs}" if summary is not None else ""
    zeros = percent(summary.pointwise_zeros, summary.pointwise_params) if summary and summary.pointwise_params else ""
    result = "**unreadable**" if model.error is not None else "**fail**" if failed else "pass"
    outcome = "" if model.error is not None else outcome_of(model)
    tally = ModelTally()
    tally.add(model)
    gain = model.speed.now if model.speed is not None else None
    speed = "" if gain is None else f"{gain.ratio:.1f} ({gain.low:.1f} to {gain.high:.1f})"
    cells = [code(model.path), result, outcome, share, zeros, speed, tally.found() if model.error is None else ""]
    return f"| {' | '.join(cells)} |"


def details(model: ModelReport, failures: Iterable[str] = ()) -> Iterator[str]:
    """The findings of one model, those that say the same of several places in one row."""
    if not (model.findings or model.error or failures):
        return
    yield from ("", f"### {code(model.path)}", "")
    if model.error is not None:
        yield text(model.error)
    for failure in failures:
        yield from (text(failure), "")
    if model.findings:
        yield from ("| Severity | Rule | Where | What | Fix |", "| --- | --- | --- | --- | --- |")
    for findings in _alike(model.findings):
        first = findings[0]
        what = condition(first) if len(findings) == 1 else condition(first, impersonal(first, "this one"))
        rule = f"{first.rule} {text(first.name)}"
        cells = [first.severity.value, rule, _places(findings), text(what), text(remedy(first))]
        yield f"| {' | '.join(cells)} |"


def _alike(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Findings of which everything but the place is the same."""
    for related in group(findings):
        same: dict[tuple[object, ...], list[Finding]] = {}
        for finding in related:
            same.setdefault((finding.actual, finding.remedy), []).append(finding)
        yield from same.values()


def _places(findings: Sequence[Finding]) -> str:
    places = [code(place(finding)) for finding in findings if place(finding)]
    shown = ", ".join(places[:SHOWN_PLACES])
    return f"{shown} and {len(places) - SHOWN_PLACES} more" if len(places) > SHOWN_PLACES else shown
