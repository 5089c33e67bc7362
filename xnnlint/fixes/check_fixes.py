"""What a check of a file says of `xnnlint fix`: what it would do at each finding, and what would come of the whole.

Which fixes fit at a finding's place is cheap to say. What comes of all of them takes the search that `xnnlint fix`
makes: a check makes it for the smallest models, with a bound on its attempts and not on its time, so that it says the
same on every machine; with --fixes for every model, as `xnnlint fix` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import XnnlintError
from xnnlint.fixes.after_conversion import after_conversion
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.remedies import remedies, what_fix_would_do
from xnnlint.fixes.result import outcome_of
from xnnlint.linter.engine import find
from xnnlint.linter.findings import Applicability, Finding, Fix, FixForecast, FixOutcome, ModelReport, Severity
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.cost import Gain
    from xnnlint.fixes.change import Change
    from xnnlint.fixes.remedy import Remedies
    from xnnlint.fixes.result import Version
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile

FORMATS = ("tflite", "keras", "h5")
# So large a model is searched within some half a second; a file of 48 operators takes a second. Layers take less than
# files, which are written for each attempt.
MOST_OPERATORS = {"tflite": 24, "keras": 48, "h5": 48}
MOST_BYTES = 1_000_000
_MOST_ATTEMPTS = 16
# So many changes are named where a finding is solved by changes at other places.
_NAMED = 2
_OF_ZEROS = (Condition.ENOUGH_ZEROS, Condition.PRUNED, Condition.STORED_SPARSE)


class _Way(Struct, frozen=True):
    """Safe changes of the model that was checked, and what is left to be found then.

    Attributes:
        solved: for each of the findings of the check, whether it is gone.
        gain: how much faster the changed model is predicted to be than the one that was checked.
        is_complete: whether everything was tried.
    """

    version: Version
    solved: Sequence[bool]
    gain: Gain | None = None
    is_complete: bool = True

    @classmethod
    def of(
        cls,
        version: Version,
        plan: Plan,
        before: Sequence[Finding],
        after: Sequence[Finding],
        gain: Gain | None = None,
        *,
        complete: bool = True,
    ) -> _Way:
        """Args:
        plan: of the model as it was checked.
        """
        solved = _solved(before, after) if version.changes else [False] * len(before)
        if version.assumed != plan.model.assume_pruned:
            # Zeros that are only assumed solve nothing.
            solved = [s and f.condition not in _OF_ZEROS for s, f in zip(solved, before, strict=True)]
        return cls(version, solved, gain, complete)

    def fix(self, finding: Finding) -> Fix:
        """What is changed for a finding: at its place, or elsewhere."""
        made = [change.text for change in self.version.changes if change.answers(finding)]
        return Fix("; ".join(dict.fromkeys(made)) or _elsewhere(self.version.changes), Applicability.SAFE)

    @property
    def outcome(self) -> FixOutcome:
        return outcome_of(self.version)


def add_fixes(report: ModelReport, profile: Profile, *, search: bool = False) -> None:
    """Give the findings of a report the fixes that there are for its file, and the report what they bring.

    One that could not be read, and one that is no file, are left alone. `ModelReport.needs_fixes` says whether there is
    anything to be fixed, without an import of this.

    Args:
        search: make the search of `xnnlint fix` whatever the size of the model.
    """
    plan = report.plan
    if plan is None or plan.model.format not in FORMATS or not Path(plan.model.path).is_file():
        return
    known = remedies(plan)
    made, declined = _ways(plan, report.findings, profile, search)
    findings, safe, unsafe = [], 0, 0
    for number, finding in enumerate(report.findings):
        is_made = made is not None and made.solved[number]
        fix = _fix(finding, number, known, [way for way in (made, declined) if way is not None])
        if made is not None and not is_made and declined is None and fix is not None and made.is_complete:
            # It fits there, and the model is no better with it.
            fix = None if fix.applicability is Applicability.SAFE else fix
        # A note, on runtimes that were not asked for say, is no reason to change a file.
        if finding.severity is not Severity.NOTE and fix is not None:
            safe += is_made or (made is None and fix.applicability is Applicability.SAFE)
            unsafe += fix.applicability is Applicability.UNSAFE
        findings.append(replace(finding, repair=fix))
    report.findings = findings
    # With other zeros than the check has seen, a fix forecasts another model.
    as_checked = made is not None and made.version.assumed == plan.model.assume_pruned and not plan.model.unknown
    brought = made.outcome if made is not None and as_checked and made.version.changes else None
    if brought is not None and brought.outcome is Outcome.SPARSE and made is not None and report.speed is not None:
        # What the changes themselves take is in this figure, and not in that of a plan that takes them for granted.
        report.speed = report.speed._replace(if_fixed=made.gain, is_made=made.gain is not None)
    slower = declined.outcome if declined is not None and as_checked else None
    left = [f for f in findings if f.repair is None or f.repair.applicability is not Applicability.SAFE]
    converted = after_conversion(plan, (brought, slower), left, whatever_size=search)
    roads = (converted.made, converted.if_slower, converted.untried)
    report.fixes = FixForecast(safe, unsafe, brought, slower, *roads, known.extra)


def _ways(
    plan: Plan, findings: Sequence[Finding], profile: Profile, whatever_size: bool
) -> tuple[_Way | None, _Way | None]:
    """What `xnnlint fix` would do with a model, and what it would do with --even-if-slower where that is more; None for
    large ones, unless they are asked for, and for those that it does not take."""
    most = MOST_OPERATORS[plan.model.format or ""]
    is_large = len(plan.graph.operators) > most or Path(plan.model.path).stat().st_size > MOST_BYTES
    if profile.is_portable or (is_large and not whatever_size):
        return None, None
    attempts = None if whatever_size else _MOST_ATTEMPTS
    model = plan.model
    search = partial(what_fix_would_do, model.path, profile, assume_pruned=model.assume_pruned, layers=model.declared)
    try:
        result = search(budget=Budget(attempts=attempts))
        made = _Way.of(result.after, plan, findings, result.findings, result.gain, complete=result.complete)
        if result.declined is not None:
            version = result.declined.version
            return made, _Way.of(version, plan, findings, find(version.plan))
        if made.version.changes and made.outcome.outcome is Outcome.DENSE:
            more = search(even_if_slower=True, budget=Budget(attempts=attempts))
            if more.after.plan.outcome is Outcome.SPARSE:
                return made, _Way.of(more.after, plan, findings, more.findings)
    except (XnnlintError, OSError):
        return None, None
    return made, None


def _solved(before: Sequence[Finding], after: Sequence[Finding]) -> list[bool]:
    """Which findings a changed model has no more: of a rule, as many as there are fewer at places of one name. One that
    stands in the way no longer, and is left as something to know, is solved."""
    left = Counter((f.rule, f.location.name, _is_in_the_way(f)) for f in after)
    solved = []
    for finding in before:
        place = finding.rule, finding.location.name, _is_in_the_way(finding)
        left[place] -= 1
        solved.append(left[place] < 0)
    return solved


def _is_in_the_way(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR or finding.unlocks is not None


def _fix(finding: Finding, number: int, known: Remedies, ways: Sequence[_Way]) -> Fix | None:
    """The fix of a finding that there is; None for that which the rule names."""
    for way in ways:
        if way.solved[number]:
            return way.fix(finding)
    found = known.of(finding)
    return Fix(found[0].title, found[0].applicability) if found else None


def _elsewhere(changes: Sequence[Change]) -> str:
    """What is changed at other places than that of the finding, the last changes first: those that end a cluster."""
    kinds: dict[str, list[Change]] = {}
    for change in reversed(changes):
        kinds.setdefault(change.fix, []).insert(0, change)
    named = []
    for made in list(kinds.values())[:_NAMED]:
        more = f" and {len(made) - 1} more" if len(made) > 1 else ""
        named.append(f"at {made[0].place}{more}: {made[0].text}")
    left = len(kinds) - len(named)
    return "; ".join(named) + (f"; and {left} other fix{'es' if left > 1 else ''}" if left else "")
