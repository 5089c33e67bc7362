"""The machine that runs a check: find the models, read each, plan it, ask every rule, order what they found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.errors import XnnlintError, end_in
from xnnlint.linter.all_runtimes import check_everywhere
from xnnlint.linter.confidence import hedged
from xnnlint.linter.findings import Finding, ModelReport, Report, Severity, smallest_set
from xnnlint.linter.misread_weights import with_weights_decoded
from xnnlint.linter.plugins import ask
from xnnlint.linter.rule_registry import all_rules
from xnnlint.linter.unlock import add_unlocks
from xnnlint.linter.value import add_value
from xnnlint.linter.wanted import NOTHING, Wanted
from xnnlint.linter.wrappers import without_wrappers
from xnnlint.loaders import find_models, load
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.waiver import WaiverKind

if TYPE_CHECKING:
    from xnnlint.model.graph import Model
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile


# Conditions without which an operator, or all of them, cannot be looked at any further.
SHADOWING = (WaiverKind.DELEGATED, WaiverKind.FLOAT, WaiverKind.FP32)


def check(paths: Iterable[str | os.PathLike[str]], profile: Profile, *, require_sparse: bool = False) -> Report:
    """Check files, and folders with every model in them.

    Args:
        paths: files and folders, as the user gave them.
        profile: the runtime and CPU to predict for.
        require_sparse: a model that does not run sparse is an error, even if it only isn't pruned yet.

    Returns:
        One `ModelReport` for each model; a file that cannot be read has its `error` set, and the others are checked.
    """
    return Report(profile, list(check_each(paths, profile, require_sparse=require_sparse)))


def check_each(
    paths: Iterable[str | os.PathLike[str]],
    profile: Profile,
    *,
    require_sparse: bool = False,
    wanted: Wanted = NOTHING,
) -> Iterator[ModelReport]:
    """The same, model by model: only one is in memory at a time."""
    # A rule that cannot be imported must stop the run, not become one file's error.
    all_rules()
    for path in find_models(paths):
        yield check_model(path, profile, require_sparse=require_sparse, wanted=wanted)


def check_model(
    path: str | os.PathLike[str],
    profile: Profile,
    *,
    require_sparse: bool = False,
    wanted: Wanted = NOTHING,
) -> ModelReport:
    """Check one file; whatever goes wrong becomes the report's `error`."""
    make = partial(load, path, assume_pruned=wanted.read_as_pruned, layers=dict(wanted.layers))
    return check_made(path, make, profile, require_sparse=require_sparse, wanted=wanted)


def check_made(
    path: str | os.PathLike[str],
    make: Callable[[], Model],
    profile: Profile,
    *,
    require_sparse: bool = False,
    wanted: Wanted = NOTHING,
) -> ModelReport:
    """Check what `make` gives for a path; whatever goes wrong, in that or later, becomes the report's `error`."""
    report = ModelReport(os.fspath(path))
    try:
        return check_loaded(make(), profile, require_sparse=require_sparse, wanted=wanted)
    except (XnnlintError, OSError) as error:
        report.error = sentence(error, path)
    except Exception as error:
        # One file that trips a mistake of ours must not hide what the others have; it is reported as what it is.
        if os.environ.get("XNNLINT_DEBUG"):
            raise
        report.error = f"{report.path}: {internal(error)}"
    return report


def check_loaded(
    model: Model, profile: Profile, *, require_sparse: bool = False, wanted: Wanted = NOTHING
) -> ModelReport:
    """Check a model that has been read.

    Raises:
        XnnlintError: a part of it turns out to be damaged.
    """
    if profile.is_portable:
        found = check_everywhere(model, profile, lambda p: find(p, require_sparse=require_sparse))
        plan, findings, by_runtime = found
    else:
        plan, by_runtime = make_plan(model, profile), ()
        findings = find(plan, require_sparse=require_sparse)
    report = ModelReport(model.path)
    report.format, report.plan, report.findings = model.format, plan, findings
    report.by_runtime = by_runtime
    add_value(report, wanted)
    return report


def find(plan: Plan, *, require_sparse: bool = False) -> list[Finding]:
    """Every finding of every rule, with what it would unlock, what matters most first."""
    findings = without_wrappers(plan, _find) or with_weights_decoded(plan, _find) or _find(plan)
    findings = hedged(plan, findings, require_sparse=require_sparse)
    if require_sparse and plan.outcome is not Outcome.SPARSE:
        findings = [_demanded(finding) for finding in findings]
    return findings


def _find(plan: Plan) -> list[Finding]:
    asked = _ask(plan)
    findings = add_unlocks(plan, asked)
    if plan.outcome is not Outcome.SPARSE and not smallest_set(findings):
        findings = add_unlocks(plan, _with_shadowed(plan, asked))
    return _as_joined(plan, findings)


def _ask(plan: Plan) -> list[Finding]:
    exporter = plan.model.exporter
    return [
        rule.in_terms_of(exporter, finding)
        for rule in all_rules()
        for finding in (ask(rule, plan) if rule.package else rule.check(plan))
    ]


def _as_joined(plan: Plan, findings: list[Finding]) -> list[Finding]:
    """Members of the smallest set as they are once XNNPACK takes the operators that others of them are about: where
    the graph does not fall apart any more, a convolution is no stem of the part behind, say."""
    members = smallest_set(findings)
    taken = {waiver for f in members for waiver in f.waivers if waiver.kind in SHADOWING}
    if not taken or plan.planner is None:
        return findings
    known = {f.waivers: f for f in _ask(plan.planner.plan(taken)) if f.waivers}
    joined = {id(f): known[f.waivers] for f in members if f.waivers in known and not taken.intersection(f.waivers)}
    return [replace(joined[id(f)], unlocks=f.unlocks, severity=f.severity) if id(f) in joined else f for f in findings]


def _with_shadowed(plan: Plan, findings: list[Finding]) -> list[Finding]:
    """Findings, and what the rules find once XNNPACK takes all operators, in float: more than can be seen of the model
    as it is. A finding that asks for more at the same place then, such as for zeros in all weights of parts that
    become one, takes the place of the one that is reported."""
    taken = {waiver for f in findings for waiver in f.waivers if waiver.kind in SHADOWING}
    behind = _ask(plan.planner.plan(taken)) if taken and plan.planner is not None else []
    found = {(f.rule, f.location.op): f for f in behind if f.waivers}
    known = [found.pop((f.rule, f.location.op), f) for f in findings]
    return [b if f.waivers and b.waivers > f.waivers else f for f, b in zip(findings, known, strict=True)] + list(
        found.values()
    )


def _demanded(finding: Finding) -> Finding:
    """What stands between the model and sparse is an error where sparse is demanded."""
    unlocks = finding.unlocks
    if unlocks is not None and (unlocks.alone or unlocks.in_smallest_set):
        return replace(finding, severity=Severity.ERROR)
    return finding


def sentence(error: Exception, path: str | os.PathLike[str]) -> str:
    """An error in one sentence that names the file."""
    if isinstance(error, OSError):
        return f"{os.fspath(path)}: {(error.strerror or str(error) or type(error).__name__).lower()}"
    text = " ".join(str(error).split())
    return text if os.fspath(path) in text else f"{os.fspath(path)}: {text}"


def internal(error: Exception) -> str:
    """A mistake of ours, in one sentence.

    Raises:
        SystemExit, KeyboardInterrupt: it is none, but the end that was asked for.
    """
    if (end := end_in(error)) is not None:
        raise end
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"xnnlint itself failed ({what}); please report it with the file (XNNLINT_DEBUG=1 shows where)"
