"""The formats of `xnnlint check`: what each is called, and the machine that fills several of them in one run.

A report is told model by model, so that no run keeps more than one model in memory: `begin`, `add` for each model,
`end`. Each returns what to write then: lines for a person, or text that is written as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from xnnlint.linter.findings import Severity

if TYPE_CHECKING:
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.reporters.styled_lines import Line
    from xnnlint.xnnpack.profile import Profile


class CheckFormat(str, Enum):
    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a report is told besides the models.

    Attributes:
        profile: the runtime and CPU of the run.
        width: columns to wrap text at.
        for_pipe: a program reads the text: no name is shortened, and the verdict is one line.
        with_plan: the table of operators is wanted in text.
        verbose: every finding by itself, with the rule's condition and its sources.
        quiet: only of models that fail, and no summary; what a program reads stays whole.
        statistics: how often each rule was found is wanted at the end.
        root: the folder that relative paths count from; see `words.source_root`.
        baseline: the accepted findings, where there are any; knows the stale entries at the end.
    """

    profile: Profile
    width: int = 80
    for_pipe: bool = True
    with_plan: bool = False
    verbose: bool = False
    quiet: bool = False
    statistics: bool = False
    root: str = "."
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the run makes of one model.

    Attributes:
        fail_on: the least severity of a finding that makes it fail; None where findings never do.
        failures: why it fails besides its findings, a sentence each.
        profile: the runtime and CPU that it was checked for; None for the run's.
        tells: whether the findings of a rule, by code and name, would be told.
    """

    fail_on: Severity | None = Severity.ERROR
    failures: tuple[str, ...] = ()
    profile: Profile | None = None
    tells: Callable[[str, str], bool] = lambda code, name: True

    def is_grave(self, finding: Finding) -> bool:
        """Whether a finding makes the model fail."""
        return self.fail_on is not None and finding.severity.rank <= self.fail_on.rank

    def fails(self, model: ModelReport) -> bool:
        """Whether the model makes the exit code 1 or 2."""
        return model.error is not None or bool(self.failures) or any(map(self.is_grave, model.findings))


class Report(Protocol):
    """One report in one format."""

    def begin(self) -> str | list[Line]:
        """What stands before the first model."""
        ...

    def add(self, model: ModelReport, judged: Judgement) -> str | list[Line]:
        """What is told of a model right away."""
        ...

    def end(self, exit_code: int) -> str | list[Line]:
        """What is told when all models are known, and how the run ends."""
        ...


def report_in(form: CheckFormat, setting: Setting) -> Report:
    """An empty report; only its own format is imported."""
    if form is CheckFormat.TEXT:
        from xnnlint.reporters.text import TextReport

        return TextReport(setting)
    if form is CheckFormat.CONCISE:
        from xnnlint.reporters.concise import ConciseReport

        return ConciseReport(setting)
    if form is CheckFormat.JSON:
        from xnnlint.reporters.json import JsonReport

        return JsonReport(setting)
    if form is CheckFormat.SARIF:
        from xnnlint.reporters.sarif import SarifReport

        return SarifReport(setting)
    if form is CheckFormat.GITHUB:
        from xnnlint.reporters.github import GithubReport

        return GithubReport(setting)
    if form is CheckFormat.JUNIT:
        from xnnlint.reporters.junit import JunitReport

        return JunitReport(setting)
    from xnnlint.reporters.markdown import MarkdownReport

    return MarkdownReport(setting)
