"""What a report of `xnnlint check` gets, and what it is: the base class of every format.

A report gets model by model, so that no run keeps more than one model in memory: `begin`, `add` for each model, `end`.
Each returns what to write then: lines for a person, or text that is written as it is. What tells little of each model
gets its row instead of the model (`add_row`), which the process that checked it makes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, field

if TYPE_CHECKING:
    from xnnlint.linter.baseline import Baseline
    from xnnlint.linter.findings import Finding, ModelReport, Severity
    from xnnlint.reporters.model_row import Checked
    from xnnlint.reporters.styled_lines import Line
    from xnnlint.xnnpack.profile import Profile


class ReportSetting(Struct, frozen=True):
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
        target: the file that the report goes to; "" for stdout.
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
    target: str = ""

    @property
    def of_several(self) -> bool:
        """Whether the run is over more than one model."""
        return len(self.names) > 1


def _error() -> Severity:
    from xnnlint.linter.findings import Severity

    return Severity.ERROR


class ModelJudgement(Struct, frozen=True):
    """What the run makes of one model.

    Attributes:
        fail_on: the least severity of a finding that makes it fail; None where findings never do.
        failures: why it fails besides its findings, a sentence each.
        profile: the runtime and CPU that it was checked for; None for the run's.
        reports: whether the findings of a rule, by code and name, would be reported.
    """

    fail_on: Severity | None = field(default_factory=_error)
    failures: tuple[str, ...] = ()
    profile: Profile | None = None
    reports: Callable[[str, str], bool] = lambda code, name: True

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
        takes_rows: whether it gets `add_row` for each model and never `add`; of some only in some settings.
        takes_lines: whether what it gets then must have the whole record as a line.
        keeps_rows: whether somebody will ask which bytes a row was made of.
        writes_itself: whether it writes the file that it goes to, and there must be one.
        streams: whether a file of it is written line by line, so that what is there of a run that was ended is of use;
            all others are written at the end, as a whole or not at all.
    """

    name: ClassVar[str]
    for_people: ClassVar[bool] = False
    counts_rules: ClassVar[bool] = False
    of_one_graph: ClassVar[bool] = False
    takes_lines: ClassVar[bool] = False
    keeps_rows: ClassVar[bool] = False
    writes_itself: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    takes_rows: bool = False

    @abstractmethod
    def __init__(self, setting: ReportSetting) -> None: ...

    def begin(self) -> str | list[Line]:
        """What stands before the first model."""
        return ""

    @abstractmethod
    def add(self, model: ModelReport, judged: ModelJudgement) -> str | list[Line]:
        """What is reported of a model right away."""

    def add_row(self, checked: Checked) -> str | list[Line]:
        """The same of a report that takes rows."""
        raise NotImplementedError

    def end(self, exit_code: int) -> str | list[Line]:
        """What is reported when all models are known, and how the run ends."""
        return ""

    def close(self) -> None:  # noqa: B027 (few have something open)
        """Let go of what is open; what did not come to its end is gone."""


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
