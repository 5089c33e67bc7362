"""What a run over many models comes to."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from xnnlint.linter.findings import Severity
from xnnlint.reporters.finding_words import counted
from xnnlint.reporters.styled_lines import safe
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport


class ModelTally:
    """Counts over all models of a run, kept while the models themselves are let go of."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.severities: Counter[Severity] = Counter()
        self.unreadable = 0
        self.ignored = 0
        self.accepted = 0
        self.first_rule = ""
        self.safe = self.unsafe = 0
        self.path = ""

    def add(self, model: ModelReport) -> None:
        if model.error is not None:
            self.unreadable += 1
        else:
            outcome = model.outcome
            self.outcomes[outcome.value if outcome is not None else "unknown"] += 1
        self.ignored += len(model.ignored)
        self.accepted += len(model.accepted)
        self.path = model.path
        if model.fixes is not None:
            self.safe += model.fixes.safe
            self.unsafe += model.fixes.unsafe
        for finding in model.findings:
            self.severities[finding.severity] += 1
            self.first_rule = self.first_rule or finding.rule

    @property
    def models(self) -> int:
        return sum(self.outcomes.values()) + self.unreadable

    def text(self) -> str:
        more = f" More on a finding: xnnlint explain {self.first_rule}" if self.first_rule else ""
        return f"{self.counts()}.{self.fixable()}{more}"

    def fixable(self) -> str:
        """` 3 fixable with "xnnlint fix FILE" (1 more with --unsafe-fixes).`, or "" where nothing is."""
        if not self.safe and not self.unsafe:
            return ""
        what = shlex.quote(safe(self.path)) if self.models == 1 else "FILE"
        if not self.safe:
            return f' {self.unsafe} fixable with "xnnlint fix --unsafe-fixes {what}".'
        more = f" ({self.unsafe} more with --unsafe-fixes)" if self.unsafe else ""
        return f' {self.safe} fixable with "xnnlint fix {what}"{more}.'

    def counts(self) -> str:
        """`3 models: 2 sparse, 1 dense; 1 error`, of one model `dense: 1 error`."""
        order = [*(o.value for o in Outcome), "unknown"]
        outcomes = [f"{self.outcomes[o]} {o}" for o in order if self.outcomes[o]]
        if self.unreadable:
            outcomes.append(f"{self.unreadable} unreadable")
        about = f"{self.models} models: {', '.join(outcomes)}; " if self.models != 1 else f"{outcomes[0][2:]}: "
        return about + self.found()

    def found(self) -> str:
        """`2 errors, 1 warning`, or `no findings`; then what is left out: `(3 in the baseline, 1 ignored)`."""
        found = ", ".join(counted(self.severities[s], s.value) for s in Severity if self.severities[s]) or "no findings"
        left_out = [(self.accepted, "in the baseline"), (self.ignored, "ignored")]
        shown = ", ".join(f"{number} {why}" for number, why in left_out if number)
        return f"{found} ({shown})" if shown else found
