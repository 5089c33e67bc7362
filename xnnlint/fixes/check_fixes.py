"""What a check of a file says of `xnnlint fix`: what it would do at each finding, and what would come of the whole.

The search that `xnnlint fix` makes is made for small models, with a bound on its attempts that follows from the number
of operators, so that a check says the same on every machine. Of larger models only single places are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.errors import XnnlintError
from xnnlint.fixes.change_search import Budget
from xnnlint.fixes.remedies import remedies, what_fix_would_do
from xnnlint.linter.findings import Applicability, Finding, Fix, FixForecast, FixOutcome, ModelReport, Severity

if TYPE_CHECKING:
    from xnnlint.fixes.change import Change
    from xnnlint.fixes.remedy import Remedies
    from xnnlint.fixes.result import Result
    from xnnlint.xnnpack.profile import Profile

FORMATS = ("tflite", "keras", "h5")
# An attempt plans the model once; one of a few dozen operators takes some 20 ms, so that a search takes half a second.
MOST_OPERATORS = 64
MOST_BYTES = 8_000_000
_WORK = 600
_MOST_ATTEMPTS = 16
# So many changes are named where a finding is solved by changes at other places.
_NAMED = 2


def add_fixes(report: ModelReport, profile: Profile) -> None:
    """Give the findings of a report the fixes that there are for its file, and the report what they bring.

    One that could not be read, and one that is no file, are left alone. `ModelReport.needs_fixes` says whether there is
    anything to be fixed, without an import of this.
    """
    model = report.plan.model if report.plan is not None else None
    if model is None or model.format not in FORMATS or not Path(model.path).is_file():
        return
    known = remedies(report.plan)  # type: ignore[arg-type]  # there is a plan where there is a model
    result = _search(report, profile)
    solved = _solved(report.findings, result) if result is not None else [False] * len(report.findings)
    findings, safe, unsafe = [], 0, 0
    for finding, is_solved in zip(report.findings, solved, strict=True):
        fix = _fix(finding, known, result, is_solved)
        counts = finding.severity is not Severity.NOTE
        safe += counts and (is_solved if result is not None else fix is not None and _is_safe(fix))
        unsafe += counts and not is_solved and fix is not None and not _is_safe(fix)
        findings.append(replace(finding, fix=fix) if fix is not None else finding)
    report.findings = findings
    report.fixes = _forecast(report, result, int(safe), int(unsafe))


def _search(report: ModelReport, profile: Profile) -> Result[Any] | None:
    """What `xnnlint fix` would do with a small model; None for others, and for those that it does not take."""
    assert report.plan is not None
    model, operators = report.plan.model, len(report.plan.graph.operators)
    if profile.is_portable or operators > MOST_OPERATORS or Path(model.path).stat().st_size > MOST_BYTES:
        return None
    budget = Budget(attempts=min(_WORK // max(operators, 1), _MOST_ATTEMPTS))
    try:
        return what_fix_would_do(model.path, profile, assume_pruned=model.assume_pruned, budget=budget)
    except (XnnlintError, OSError):
        return None


def _solved(findings: Sequence[Finding], result: Result[Any]) -> list[bool]:
    """Which findings the changed model has no more: of a rule, as many as there are fewer at a place of one name."""
    if not result.changes:
        return [False] * len(findings)
    left: dict[tuple[str, str], int] = {}
    for finding in result.findings:
        if finding.severity is not Severity.NOTE:
            left[finding.rule, finding.location.name] = left.get((finding.rule, finding.location.name), 0) + 1
    solved = []
    for finding in findings:
        place = finding.rule, finding.location.name
        left[place] = left.get(place, 0) - 1
        solved.append(left[place] < 0)
    return solved


def _fix(finding: Finding, known: Remedies, result: Result[Any] | None, is_solved: bool) -> Fix | None:
    """The fix of a finding that there is; None for that which the rule names."""
    if is_solved and result is not None:
        made = result.answers(finding)
        return Fix("; ".join(dict.fromkeys(c.text for c in made)) if made else _elsewhere(result), Applicability.SAFE)
    found = known.of(finding)
    return Fix(found[0].title, found[0].applicability) if found else None


def _elsewhere(result: Result[Any]) -> str:
    """What is changed at other places than that of the finding, the last changes first: those that end a cluster."""
    kinds: dict[str, list[Change]] = {}
    for change in reversed(result.changes):
        kinds.setdefault(change.fix, []).insert(0, change)
    named = []
    for made in list(kinds.values())[:_NAMED]:
        more = f" and {len(made) - 1} more" if len(made) > 1 else ""
        named.append(f"at {made[0].place}{more}: {made[0].text}")
    left = len(kinds) - len(named)
    return "; ".join(named) + (f"; and {left} other fix{'es' if left > 1 else ''}" if left else "")


def _is_safe(fix: Fix) -> bool:
    return fix.applicability is Applicability.SAFE


def _forecast(report: ModelReport, result: Result[Any] | None, safe: int, unsafe: int) -> FixForecast:
    """The counts, and what the runtime does then, where that was planned with the zeros that the check has seen."""
    if result is None or report.plan is None or result.before.assumed != report.plan.model.assume_pruned:
        return FixForecast(safe, unsafe)
    after = result.after
    brought = FixOutcome(len(result.changes), after.plan.outcome, len(after.spmm), len(after.pointwise))
    return FixForecast(safe, unsafe, brought)
