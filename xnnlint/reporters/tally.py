"""What a run over many models comes to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from xnnlint.reporters.finding_words import counted

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.reporters.model_row import ModelRow
    from xnnlint.xnnpack.plan import Outcome

UNKNOWN = "unknown"
_LAST = 99
_SEVERITIES = ("error", "warning", "note")


class ModelTally:
    """Counts over all models of a run, kept while the models themselves are let go of."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.severities: Counter[str] = Counter()
        self.unreadable = 0
        self.ignored = 0
        self.accepted = 0
        self.safe = self.unsafe = 0
        self._ranks: dict[str, int] = {}

    @staticmethod
    def taken(model: ModelReport) -> dict[str, Any]:
        """What is counted of a model, as values of JSON."""
        outcome, fixes = model.outcome, model.fixes
        return {
            "outcome": None if model.error is not None else UNKNOWN if outcome is None else outcome.value,
            "rank": _rank(outcome),
            "severities": dict(Counter(finding.severity.value for finding in model.findings)),
            "ignored": len(model.ignored),
            "accepted": len(model.accepted),
            "safe": 0 if fixes is None else fixes.safe,
            "unsafe": 0 if fixes is None else fixes.unsafe,
        }

    def add(self, model: ModelReport) -> None:
        self.put(self.taken(model))

    def put(self, taken: dict[str, Any]) -> None:
        """Count a model, by what was taken of it."""
        outcome = taken["outcome"]
        if outcome is None:
            self.unreadable += 1
        else:
            self.outcomes[outcome] += 1
            self._ranks[outcome] = taken["rank"]
        self.severities.update(taken["severities"])
        self.ignored += taken["ignored"]
        self.accepted += taken["accepted"]
        self.safe += taken["safe"]
        self.unsafe += taken["unsafe"]

    def add_row(self, row: ModelRow) -> None:
        """The same of a model's row."""
        self.put(
            {
                "outcome": None if row.error is not None else row.word,
                "rank": _rank(row.outcome),
                "severities": row.severities,
                "ignored": row.ignored,
                "accepted": row.accepted,
                "safe": row.safe_fixes,
                "unsafe": row.unsafe_fixes,
            }
        )

    @property
    def models(self) -> int:
        return sum(self.outcomes.values()) + self.unreadable

    def text(self, exit_code: int) -> str:
        """`3 models: 2 sparse, 1 dense. 4 errors, 3 fixable. Exit code 1.`; of one model only what was found."""
        about = f"{self.models} models: {self._outcomes()}. " if self.models != 1 else ""
        found = self.found()
        return f"{about}{found[0].upper()}{found[1:]}{self._fixable()}. Exit code {exit_code}."

    def _fixable(self) -> str:
        """`, 3 fixable (1 more with --unsafe-fixes)`, or "" where nothing is."""
        if not self.safe and not self.unsafe:
            return ""
        if not self.safe:
            return f", {self.unsafe} fixable with --unsafe-fixes"
        more = f" ({self.unsafe} more with --unsafe-fixes)" if self.unsafe else ""
        return f", {self.safe} fixable{more}"

    def counts(self) -> str:
        """`3 models: 2 sparse, 1 dense; 1 error`, of one model `dense: 1 error`."""
        outcomes = self._outcomes()
        return (
            f"{self.models} models: {outcomes}; {self.found()}"
            if self.models != 1
            else f"{outcomes[2:]}: {self.found()}"
        )

    def _outcomes(self) -> str:
        ordered = sorted(self.outcomes, key=lambda outcome: self._ranks[outcome])
        outcomes = [f"{self.outcomes[outcome]} {outcome}" for outcome in ordered]
        return ", ".join([*outcomes, *([f"{self.unreadable} unreadable"] if self.unreadable else [])])

    def found(self) -> str:
        """`2 errors, 1 warning`, or `no findings`; then what is left out: `(3 in the baseline, 1 ignored)`."""
        found = ", ".join(counted(self.severities[s], s) for s in _SEVERITIES if self.severities[s]) or "no findings"
        left_out = [(self.accepted, "in the baseline"), (self.ignored, "ignored")]
        shown = ", ".join(f"{number} {why}" for number, why in left_out if number)
        return f"{found} ({shown})" if shown else found


def _rank(outcome: Outcome | None) -> int:
    """Its place in a list of outcomes; what is not known comes last."""
    return _LAST if outcome is None else list(type(outcome)).index(outcome)
