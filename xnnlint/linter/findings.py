"""What a check finds: findings, and the report of one run over one or more models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from xnnlint.keras.policy.verdicts import PolicyVerdict
    from xnnlint.linter.pruning_forecast import PruningForecast
    from xnnlint.linter.speed import Speed
    from xnnlint.loaders.content import Content
    from xnnlint.model.stored_bytes import StoredSize
    from xnnlint.xnnpack.conditions.condition import Condition
    from xnnlint.xnnpack.plan import Outcome, Plan, Summary
    from xnnlint.xnnpack.profile import Profile
    from xnnlint.xnnpack.waiver import Waiver


class Severity(str, Enum):
    """How much a finding matters. `ERROR` stops or breaks the sparse path, `NOTE` only informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


class Applicability(str, Enum):
    """Whether a fix may be applied without a person looking.

    `SAFE`: same outputs on every input. `UNSAFE`: changes what the model computes, needs fine-tuning.
    `MANUAL`: only described in words.
    """

    SAFE = "safe"
    UNSAFE = "unsafe"
    MANUAL = "manual"


class Location(Struct, frozen=True):
    """A place in the model: an operator (or a tensor of it) of one subgraph; everything None means the whole model."""

    op: int | None = None
    name: str = ""
    type: str = ""
    tensor: str = ""
    subgraph: int = 0


class Fix(Struct, frozen=True):
    """A remedy in words."""

    title: str
    applicability: Applicability = Applicability.MANUAL


class Unlock(Struct, frozen=True):
    """What changing this one thing would bring, from planning again with the condition waived.

    Attributes:
        alone: 1x1 convolutions that would newly run SpMM if only this were changed.
        alone_macs: their multiply-accumulates as a share (0..1) of those of all 1x1 convolutions.
        with_others: 1x1 convolutions that would newly run SpMM if the whole smallest set of changes were made, for a
            member of that set; else 0.
        in_smallest_set: whether it is one of the smallest set of changes that makes the model sparse.
        all_or_none: whether that set is to be made as a whole, since a part of it gives wrong results.
    """

    alone: int
    alone_macs: float
    with_others: int
    in_smallest_set: bool
    all_or_none: bool = False


class Finding(Struct, frozen=True):
    """One problem at one place: what the runtime requires, what the model has, what fixing it brings.

    `fix` is what the rule says to change where the model is made; `repair` is what `xnnlint fix` does to the file that
    was checked, None where it does nothing. `condition` is the one that is not met, None where the rule has no name for
    it; `waivers` are the conditions of the plan that a fix would fulfil. Neither leaves the program.
    """

    rule: str
    name: str
    severity: Severity
    message: str
    required: str = ""
    actual: str = ""
    location: Location = Location()
    unlocks: Unlock | None = None
    fix: Fix | None = None
    waivers: frozenset[Waiver] = frozenset()
    condition: Condition | None = None
    repair: Fix | None = None

    @property
    def remedy(self) -> Fix | None:
        """What to do: what `xnnlint fix` does, or else what to change where the model is made."""
        return self.repair or self.fix

    @property
    def is_asking(self) -> bool:
        """Whether it asks for a change: more than a note, or one that costs nothing, such as for other runtimes."""
        is_free = self.fix is not None and self.fix.applicability is Applicability.SAFE
        return self.severity is not Severity.NOTE or is_free


def smallest_set(findings: Iterable[Finding]) -> list[Finding]:
    """The members of the smallest set of changes that makes the model sparse."""
    return [f for f in findings if f.unlocks is not None and f.unlocks.in_smallest_set]


class FixOutcome(Struct, frozen=True):
    """What becomes of a model by the safe changes of `xnnlint fix`.

    Attributes:
        changes: how many there are.
        outcome: of the changed model.
        spmm, convolutions: its 1x1 convolutions that run SpMM, and all of them.
    """

    changes: int
    outcome: Outcome
    spmm: int
    convolutions: int


class FixForecast(Struct, frozen=True):
    """What `xnnlint fix` does with the file that was checked.

    Attributes:
        safe: findings that its safe fixes solve; for a large model, for which they were not tried together, those that
            have one.
        unsafe: more findings for which `--unsafe-fixes` has a fix.
        brought: what comes of the safe ones; None where that was not planned.
        declined: what would come of more safe ones that are not made, since the model is predicted to be slower with
            them; None where there are none.
        converted: of a Keras model, what comes of the safe changes of the .tflite file that it is converted to, where
            that is more than `brought` (`xnnlint convert --fix`); None where it is not, or was not planned.
        converted_if_slower: the same with those that are not made, since the model is predicted to be slower.
        converted_untried: of a Keras model that is too large to try that, its findings for which files have a safe fix.
        extra: the extra of xnnlint without which nothing can be said of all this; "" where nothing is missing.
    """

    safe: int
    unsafe: int
    brought: FixOutcome | None = None
    declined: FixOutcome | None = None
    converted: FixOutcome | None = None
    converted_if_slower: FixOutcome | None = None
    converted_untried: int = 0
    extra: str = ""


class RuntimeOutcome(Struct, frozen=True):
    """What one of several runtimes makes of a model.

    Attributes:
        outcome: None where nobody knows, as of `ModelReport`.
        spmm, pointwise_convs: 1x1 convolutions that run SpMM, and all of them.
        blockers: codes of the rules of the smallest set of changes that makes it sparse there.
    """

    runtime: str
    outcome: Outcome | None
    spmm: int
    pointwise_convs: int
    blockers: tuple[str, ...]


class ModelReport(Struct):
    """The result for one file: a plan and findings, or the reason why it could not be read.

    `policy` is what TFMOT's pruning policy says of it, where that was asked, `policy_notes` what to know about that.
    `ignored` are findings that the configuration silences, `accepted` those that the baseline holds; neither counts for
    the exit code. `profile` is what the plan was made for, where the configuration chose that. `speed` is None where no
    times are known for the CPU, `if_pruned` what was asked with --assume-pruned, `size` None where nothing is pruned.
    `fixes` is what `xnnlint fix` does with it, None where there is nothing to fix, or no file that it takes. `content`
    is which bytes were checked, where that was asked. `by_runtime` is what each runtime makes of it, newest first,
    where it was checked for several.
    """

    path: str
    format: str | None = None
    plan: Plan | None = None
    findings: list[Finding] = field(default_factory=list)
    error: str | None = None
    policy: PolicyVerdict | None = None
    policy_notes: tuple[str, ...] = ()
    ignored: list[Finding] = field(default_factory=list)
    accepted: list[Finding] = field(default_factory=list)
    profile: Profile | None = None
    fixes: FixForecast | None = None
    speed: Speed | None = None
    if_pruned: tuple[PruningForecast, ...] = ()
    at_schedule_end: PruningForecast | None = None
    size: StoredSize | None = None
    content: Content | None = None
    by_runtime: tuple[RuntimeOutcome, ...] = ()

    def __repr__(self) -> str:
        """Two lines: what becomes of the model, and how many findings of which rules there are."""
        if self.error is not None:
            return f"<{type(self).__name__} {self.path}: unreadable\n {self.error}>"
        outcome, summary = self.outcome, self.summary
        share = (
            f", {summary.spmm} of {summary.pointwise_convs} 1x1 convolutions run SpMM" if summary is not None else ""
        )
        rules = Counter(finding.rule for finding in self.findings)
        found = ", ".join(rule if count == 1 else f"{rule} ({count})" for rule, count in rules.items())
        word = outcome.value if outcome is not None else "unknown"
        return f"<{type(self).__name__} {self.path}: {word}{share}\n findings: {found or 'none'}>"

    @property
    def outcome(self) -> Outcome | None:
        """What becomes of the model; None where nobody knows, since it has layers of unknown effect. `plan.outcome` is
        what would become of it if those were what they are taken for (`linter.confidence.taken_as`)."""
        return None if self.plan is None or self.plan.model.unknown else self.plan.outcome

    @property
    def summary(self) -> Summary | None:
        """Its 1x1 convolutions, MACs and zeros, counted; None where there is no plan."""
        return self.plan.summary if self.plan is not None else None

    @property
    def worst(self) -> Severity | None:
        return min((f.severity for f in self.findings), key=lambda s: s.rank, default=None)

    @property
    def needs_fixes(self) -> bool:
        """Whether anything stands between the model and sparse, or makes it wrong."""
        return any(f.severity is Severity.ERROR or f.unlocks is not None for f in self.findings)


class Report(Struct):
    """The result of one run."""

    profile: Profile
    models: list[ModelReport] = field(default_factory=list)


def called(report: ModelReport, file: str, path: str) -> ModelReport:
    """The report of a file that has another name for whoever asked, such as one that came from stdin or an address."""
    if file != path:
        report.path = path
        if report.error is not None:
            report.error = report.error.replace(file, path)
    return report
