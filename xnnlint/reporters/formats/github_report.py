"""Annotations of a GitHub Actions run: workflow commands, one a line, that the runner reads from the log.

Source of the grammar and of what is escaped: actions/toolkit packages/core/src/command.ts; the runner shows at most ten
errors, ten warnings and ten notices of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.check_report import KeepingReport, ReportSetting
from xnnlint.reporters.finding_words import sentence
from xnnlint.reporters.source_paths import from_root
from xnnlint.reporters.styled_lines import safe

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.check_report import ModelJudgement

# By severity.
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


class GithubReport(KeepingReport):
    """A workflow command for each finding."""

    name = "github"
    for_people = True

    def __init__(self, setting: ReportSetting) -> None:
        self._root = setting.root

    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        return {"text": "".join(f"{line}\n" for line in commands(model, judged.failures, self._root))}

    def put(self, taken: dict[str, Any]) -> str:
        text: str = taken["text"]
        return text

    def end(self, exit_code: int) -> str:
        return ""


def commands(model: ModelReport, failures: Sequence[str], root: str) -> Iterator[str]:
    """One command for each finding, the gravest first: the runner shows only the first ten of a kind."""
    file = from_root(model.path, root) or model.path
    if model.error is not None:
        yield command("error", file, "xnnlint cannot read this model", model.error)
    for failure in failures:
        yield command("error", file, "xnnlint", failure)
    for finding in sorted(model.findings, key=lambda f: f.severity.rank):
        yield command(_COMMANDS[finding.severity.value], file, f"{finding.rule} {finding.name}", sentence(finding))


def command(kind: str, file: str, title: str, message: str) -> str:
    """`::error file=...,title=...::message`, whatever the texts hold."""
    return f"::{kind} file={_property(file)},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    # `safe` leaves no line break and no terminal escape; the rest is the runner's own escaping.
    return safe(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
