"""What a report of `xnnlint check` gets, and what it is: the base class of every format.

A report gets model by model, so that no run keeps more than one model in memory: `begin`, `add` for each model, `end`.
Each returns what to write then: lines for a person, or text that is written as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import Finding, ModelReport, Severity
    from xnnlint.reporters.styled_lines import Line
    from xnnlint.xnnpack.profile import Profile


@dataclass(frozen=True, slots=True)
class ReportSetting:
    """What a report knows besides the models.

    Attributes:
        profile: the runtime and CPU of the run.
        width: columns to wrap text at.
        for_pipe: a program reads the text: no name is shortened, and the verdict is one line.
        with_plan: the table of operators is wanted in text.
        verbose: every finding by itself, with the rule's condition and its sources.
        quiet: only of models that fail, and no summary; what a program reads stays whole.
        statistics: how often each rule was found is wanted at the end.
        names: of all models of the run, as far as they are known before it.
        root: the folder that relative paths count from; see `source_paths.source_root`.
        baseline: the accepted findings, where there are any; knows the stale entries at the end.
    """

    profile: Profile
    width: int = 80
    for_pipe: bool = True
    with_plan: bool = False
    verbose: bool = False
    quiet: bool = False
    statistics: bool = False
    names: tuple[str, ...] = ()
    root: str = "."
    baseline: Baseline | None = None

    @property
    def of_several(self) -> bool:
        """Whether the run is over more than one model."""
        return len(self.names) > 1


def _error() -> Severity:
    from xnnlint.linter.findings import Severity

    return Severity.ERROR


@dataclass(frozen=True, slots=True)
class ModelJudgement:
    """What the run makes of one model.

    Attributes:
        fail_on: the least severity of a finding that makes it fail; None where findings never do.
        failures: why it fails besides its findings, a sentence each.
        profile: the runtime and CPU that it was checked for; None for the run's.
        reports: whether the findings of a rule, by code and name, would be reported.
        code: what it makes the exit code.
    """

    fail_on: Severity | None = field(default_factory=_error)
    failures: tuple[str, ...] = ()
    profile: Profile | None = None
    reports: Callable[[str, str], bool] = lambda code, name: True
    code: int = 0

    def is_grave(self, finding: Finding) -> bool:
        """Whether a finding makes the model fail."""
        return self.fail_on is not None and finding.severity.rank <= self.fail_on.rank

    def fails(self, model: ModelReport) -> bool:
        """Whether the model makes the exit code 1 or 2."""
        return model.error is not None or bool(self.failures) or any(map(self.is_grave, model.findings))


class CheckReport(ABC):
    """One report in one format.

    Attributes:
        name: what --format calls it; the module is called `NAME_report`, with _ for -.
        for_people: whether --quiet leaves out the models that pass; a program gets them all.
        counts_rules: whether it has a place for --statistics.
        of_one_graph: whether it shows the graph of one model: it takes the whole plan, which stays in the process that
            made it, and no second model.
    """

    name: ClassVar[str]
    for_people: ClassVar[bool] = False
    counts_rules: ClassVar[bool] = False
    of_one_graph: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, setting: ReportSetting) -> None: ...

    def begin(self) -> str | list[Line]:
        """What stands before the first model."""
        return ""

    @abstractmethod
    def add(self, model: ModelReport, judged: ModelJudgement) -> str | list[Line]:
        """What is reported of a model right away."""

    def end(self, exit_code: int) -> str | list[Line]:
        """What is reported when all models are known, and how the run ends."""
        return ""


class KeepingReport(CheckReport):
    """A report that takes plain values of each model, which can be kept and put into the report of a later run."""

    @abstractmethod
    def taken(self, model: ModelReport, judged: ModelJudgement) -> dict[str, Any]:
        """What the report says of a model, as values of JSON.

        They follow from the model, the judgement, and of the setting from all but `names` and `baseline`; of the names
        only whether there are several. What depends on the other models is left to `put`.
        """

    @abstractmethod
    def put(self, taken: dict[str, Any]) -> str | list[Line]:
        """What is reported right away of a model, by what was taken of it. It imports no more than it must: a report
        of models that did not change is there at once."""

    def add(self, model: ModelReport, judged: ModelJudgement) -> str | list[Line]:
        return self.put(self.taken(model, judged))
