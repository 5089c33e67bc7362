"""The report for a person: is it sparse, is it right, what to change; then every finding, by what it unlocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from xnnlint.linter.confidence import taken_as
from xnnlint.linter.fault_words import fault_words
from xnnlint.linter.findings import Applicability, Finding, FixOutcome, ModelReport, Severity
from xnnlint.reporters.check_report import CheckReport, ModelJudgement, ReportSetting
from xnnlint.reporters.finding_words import counted, group, impersonal, percent, place, share_text
from xnnlint.reporters.plan_table import plan_table
from xnnlint.reporters.statistics import Statistics
from xnnlint.reporters.styled_lines import (
    BAD,
    FAINT,
    GOOD,
    PLAIN,
    STRONG,
    Line,
    Piece,
    Span,
    columns,
    name,
    safe,
    wrap,
)
from xnnlint.reporters.tally import ModelTally
from xnnlint.reporters.value_words import (
    if_fixed_sentence,
    now_sentence,
    pruned_sentence,
    pruned_table,
    size_sentence,
)
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Plan, Summary
    from xnnlint.xnnpack.profile import Profile

LABEL = 10  # columns of "required  " and the like
_OUTCOME_STYLE: dict[Outcome | None, str] = {
    Outcome.SPARSE: GOOD,
    Outcome.DENSE: STRONG,
    Outcome.WRONG_RESULTS: BAD,
    Outcome.FAILS: BAD,
}
_APPLICABILITY = {
    Applicability.SAFE: "safe: same outputs",
    Applicability.UNSAFE: "unsafe: other outputs, train again",
}


class TextReport(CheckReport):
    """For a person; a model that cannot be read is left to stderr."""

    name = "text"
    for_people = True
    counts_rules = True

    def __init__(self, setting: ReportSetting) -> None:
        self._setting = setting
        self._tally = ModelTally()
        self._statistics = Statistics() if setting.statistics else None

    def add(self, model: ModelReport, judged: ModelJudgement) -> list[Line]:
        setting = self._setting
        self._tally.add(model)
        if self._statistics is not None:
            self._statistics.add(model)
        if model.error is not None:
            return []
        lines = model_lines(
            model,
            judged.profile or setting.profile,
            setting.width,
            with_plan=setting.with_plan,
            for_pipe=setting.for_pipe,
            verbose=setting.verbose,
        )
        return [*lines, []]

    def end(self, exit_code: int) -> list[Line]:
        lines: list[Line] = []
        if self._statistics is not None and self._statistics.rows():
            lines += [*self._statistics.lines(), []]
        some = self._tally.models > 1 or (self._tally.models and not self._tally.unreadable)
        if some and not self._setting.quiet:
            lines += summary_lines(self._tally, self._setting.width)
        return lines


def model_lines(
    model: ModelReport,
    profile: Profile,
    width: int,
    *,
    with_plan: bool = False,
    for_pipe: bool = False,
    verbose: bool = False,
) -> list[Line]:
    """Everything about one model that was read: the verdict first.

    Args:
        width: columns to wrap at.
        with_plan: add the table of operators.
        for_pipe: keep the verdict in one line and every name whole, whatever the width: programs read them.
        verbose: every finding by itself, with its rule's condition and the sources of that.
    """
    lines = list(_verdict(model, profile, None if for_pipe else width))
    for sentence in filter(None, _meaning(model)):
        lines += wrap([sentence], width, 2)
    if len(model.if_pruned) > 1:
        lines += [[Span(f"  {row}")] for row in pruned_table(model.if_pruned)]
    for sentence in (*_policy(model), *_left_out(model)):
        lines += wrap([sentence], width, 2)
    if with_plan and model.plan is not None:
        prediction = model.speed.prediction if model.speed is not None else None
        lines += [[], *plan_table(model.plan, None if for_pipe else width, prediction)]
    for findings in [[f] for f in model.findings] if verbose else group(model.findings):
        lines += [[], *_finding(findings, model, width), *(_rule_lines(findings[0], width) if verbose else [])]
    changes = _smallest_set(model, width)
    if changes:
        lines += [[], *changes]
    return lines


def summary_lines(models: ModelTally, width: int) -> list[Line]:
    """One paragraph over all files."""
    return wrap([Span(models.text(), STRONG)], width)


# --- the verdict -----------------------------------------------------------------------------------------------------


def _verdict(model: ModelReport, profile: Profile, width: int | None) -> list[Line]:
    outcome, summary = model.outcome, _summary(model)
    path = Span(safe(model.path) + ":", STRONG, keep=True)
    word = Span(outcome.value if outcome is not None else "unknown", _OUTCOME_STYLE.get(outcome, STRONG), keep=True)
    is_unsure = model.plan is not None and model.plan.model.unknown
    told = _if_taken(model.plan) if model.plan is not None and is_unsure else _headline(outcome, summary)
    headline = Span(told, keep=True)
    target = Span(f"({profile.name})", FAINT, keep=True)
    short: list[Piece] = [path, " ", word]
    # Where it does not fit into one line, break between its parts rather than within one.
    whole: list[Piece] = [*short, ": ", headline, "  ", target]
    if width is None or _size(whole) <= width:
        return wrap(whole, None)
    if _size([*short, ": ", headline]) <= width:
        return [*wrap([*short, ": ", headline], None), *wrap([target], None, 2)]
    return [*wrap(short, None), *wrap([told, "  ", target], width, 2)]


def _size(pieces: list[Piece]) -> int:
    return sum(columns(p.text if isinstance(p, Span) else p) for p in pieces)


def _headline(outcome: Outcome | None, summary: Summary | None) -> str:
    if outcome is Outcome.WRONG_RESULTS:
        return "outputs will be wrong; no error is reported"
    if outcome is Outcome.FAILS:
        return "the runtime refuses the model or crashes"
    if summary is None:
        return "no prediction"
    return _share(summary)


def _if_taken(plan: Plan) -> str:
    """What becomes of a model, if its layers of unknown effect are what they are taken for."""
    summary = plan.summary
    share = ""
    if plan.outcome in (Outcome.SPARSE, Outcome.DENSE) and summary is not None and summary.pointwise_convs:
        share = f", {summary.spmm} of {summary.pointwise_convs}"
    return f"{plan.outcome.value}{share}, {safe(taken_as(plan.model))}"


def _share(summary: Summary) -> str:
    if not summary.pointwise_convs:
        return "it has no 1x1 convolution that could run SpMM"
    verb = "runs" if 1 in (summary.spmm, summary.pointwise_convs) else "run"
    text = f"{summary.spmm} of {counted(summary.pointwise_convs, '1x1 convolution')} {verb} SpMM"
    if summary.spmm:
        text += f", {percent(summary.spmm_macs, summary.pointwise_macs)} of their MACs"
    return text


def _meaning(model: ModelReport) -> Iterator[str]:
    """What the verdict means and what to do, a sentence or two each; the first screen must answer both."""
    outcome, summary = _outcome(model), _summary(model)
    unknown = len(model.plan.model.unknown) if model.plan is not None else 0
    if outcome in (Outcome.WRONG_RESULTS, Outcome.FAILS):
        yield from _breakage(model)
        if unknown:
            yield _low_confidence(unknown)
    if outcome in (Outcome.DENSE, Outcome.SPARSE):
        speed = "" if outcome is Outcome.SPARSE else " Speed is that of a dense model."
        zeros = summary and percent(summary.pointwise_zeros, summary.pointwise_params)
        weights = f" Zeros in 1x1 weights: {zeros}." if summary and summary.pointwise_params else ""
        sure = "Results are right." if not unknown else _low_confidence(unknown)
        yield f"{sure}{speed if not unknown else ''}{weights}"
    if not unknown:
        yield now_sentence(model)
    unseen = smallest_set([*model.ignored, *model.accepted])
    chosen = smallest_set(model.findings) or ([] if unseen else _best_alone(model.findings))
    if chosen:
        rules = list(dict.fromkeys(f.rule for f in chosen))
        if unseen:
            named = f"{', '.join(rules)} and {len(unseen)} that {'is' if len(unseen) == 1 else 'are'} not shown"
            what = f"{len(chosen) + len(unseen)} changes together, for {named}; they unlock"
        elif len(chosen) == 1:
            what = f"one change, {_rule_at(chosen[0])}; it unlocks"
        else:
            named = rules[0] if len(rules) == 1 else f"{', '.join(rules[:-1])} and {rules[-1]}"
            what = f"{len(chosen)} changes together, for {named}; they unlock"
        yield f"{_goal(outcome)}: {what} {_gain(_gained(chosen), model)}."
        if any(f.unlocks is not None and f.unlocks.all_or_none for f in chosen):
            yield "Make them all: fewer of them give wrong results."
        if not unknown:
            yield if_fixed_sentence(model, len(chosen) + len(unseen))
    fixed = [] if unknown else list(_fixed(model))
    yield from fixed
    if (
        not fixed
        and not chosen
        and outcome is Outcome.DENSE
        and not unseen
        and not unknown
        and summary
        and summary.pointwise_convs
    ):
        yield "No set of changes that xnnlint knows would make it run sparse."
    if model.plan is not None:
        yield from model.plan.model.notes
    if len(model.if_pruned) == 1:
        yield pruned_sentence(model.if_pruned[0])
    if model.size is not None:
        yield size_sentence(model.size, "as now" if model.format == "tflite" else "as forecast")


def _fixed(model: ModelReport) -> Iterator[str]:
    """What `xnnlint fix` makes of the model, and what it does not, since that would be slower."""
    fixes = model.fixes
    if fixes is not None and fixes.brought is not None and fixes.brought.changes:
        yield f"xnnlint fix makes it {_made(fixes.brought)}."
    if fixes is not None and fixes.declined is not None:
        yield f"Slower as predicted: xnnlint fix --even-if-slower makes it {_made(fixes.declined)}."
    if fixes is not None and (road := fixes.converted or fixes.converted_if_slower) is not None:
        slower = road is not fixes.converted
        command = f"xnnlint convert --fix{' --even-if-slower' if slower else ''} {safe(model.path)}"
        yield f"{_became(road).capitalize()}, after: {command}{' (slower, as predicted)' if slower else ''}."


def _made(fixed: FixOutcome) -> str:
    return f"{_became(fixed)}, by {counted(fixed.changes, 'safe change')}"


def _became(fixed: FixOutcome) -> str:
    becomes = {Outcome.SPARSE: f"sparse, {fixed.spmm} of {fixed.convolutions}", Outcome.DENSE: "right, and dense"}
    return becomes.get(fixed.outcome, fixed.outcome.value)


def _low_confidence(unknown: int) -> str:
    told = f"what becomes of {counted(unknown, 'layer')} is not known (XNN403)"
    return f"Low confidence: {told}; the rest is said for that case."


def _policy(model: ModelReport) -> Iterator[str]:
    """What TFMOT's pruning policy says of the model, where that was asked."""
    verdict = model.policy
    if verdict is None:
        return
    prunes = f"prunes {counted(len(verdict.prunable), '1x1 convolution')}"
    if verdict.takes:
        yield f"TFMOT's pruning policy takes it and {prunes}."
    else:
        refused = counted(len({refusal.path for refusal in verdict.refusals}), "layer")
        yield f"TFMOT's pruning policy refuses it, for {refused}: {safe(verdict.message)}."
    for note in (*verdict.notes, *model.policy_notes):
        yield safe(note)


def _left_out(model: ModelReport) -> Iterator[str]:
    """How many findings are not shown, and why."""
    left_out = [
        f"{counted(len(findings), 'finding')} {why}"
        for findings, why in ((model.accepted, "in the baseline"), (model.ignored, "ignored"))
        if findings
    ]
    if left_out:
        yield f"Not shown: {', '.join(left_out)}."


def _breakage(model: ModelReport) -> Iterator[str]:
    """Where the sparse path goes wrong, and how to be right again, sparse or not."""
    plan = model.plan
    if plan is not None and plan.hazards:
        hazard = plan.hazards[0]
        operator = plan.graph.operators[hazard.op]
        where = f"{name(operator.name)} ({safe(operator.custom_code or operator.type)} #{hazard.op})"
        more = len({h.op for h in plan.hazards}) - 1
        also = f" and {counted(more, 'other place')}" if more else ""
        subject = "The sparse path" if hazard.of_sparse_path else "It"
        yield f"{subject} breaks at {where}{also}: {safe(fault_words(hazard.fault))}."
    fixable = [f for f in model.findings if f.severity is Severity.ERROR and f.unlocks is None and f.fix]
    if fixable and fixable[0].fix:
        title, where = fixable[0].fix.title, place(fixable[0])
        # A fix elsewhere than at the finding's own place says where by itself.
        at = "" if not where or title.startswith("at ") else f", at {where}"
        yield f"To be right{at}: {safe(title)}."


def _best_alone(findings: Iterable[Finding]) -> list[Finding]:
    """The finding that unlocks most by itself."""
    helpful = [f for f in findings if f.unlocks is not None and f.unlocks.alone]
    return [max(helpful, key=lambda f: f.unlocks.alone if f.unlocks else 0)] if helpful else []


def _goal(outcome: Outcome | None) -> str:
    goals: dict[Outcome | None, str] = {
        Outcome.SPARSE: "To run more of it sparse",
        Outcome.WRONG_RESULTS: "To run sparse and right",
        Outcome.FAILS: "To run, and sparse",
    }
    return goals.get(outcome, "To run sparse")


def _outcome(model: ModelReport) -> Outcome | None:
    return model.plan.outcome if model.plan is not None else None


def _summary(model: ModelReport) -> Summary | None:
    return model.plan.summary if model.plan is not None else None


# --- findings --------------------------------------------------------------------------------------------------------


def _finding(findings: list[Finding], model: ModelReport, width: int) -> Iterator[Line]:
    first = findings[0]
    head: list[Piece] = [
        Span(first.rule, STRONG, keep=True),
        " ",
        Span(first.severity.value, first.severity.value, keep=True),
        "  ",
        Span(first.name, PLAIN, keep=True),
    ]
    where = _where(findings)
    if where:
        head += ["  ", Span(where, STRONG, keep=True)]
    yield from wrap(head, width, 0, 2)
    yield from wrap([safe(first.message if len(findings) == 1 else impersonal(first, "this one"))], width, 2)
    for label, text in _rows(findings, model):
        yield from _row(label, text, width)
    if len(findings) > 1:
        yield from _places(findings, width)


def _rule_lines(finding: Finding, width: int) -> Iterator[Line]:
    """The condition that the finding's rule asks for, and where that comes from."""
    from xnnlint.linter.known_rules import find_any_rule

    rule = find_any_rule(finding.rule)
    if rule is not None:
        yield from _row("rule", [safe(rule.summary)], width)
        _, _, references = rule.documentation.partition("## References")
        for entry in re.split(r"\n+- ", references)[1:]:
            yield from _row("source", [" ".join(entry.split())], width)


def _where(findings: list[Finding]) -> str:
    """The one place, or how many there are."""
    if len(findings) == 1:
        return place(findings[0])
    return f"{len(findings)} {_one_type(findings) or 'places'}"


def _rows(findings: list[Finding], model: ModelReport) -> Iterator[tuple[str, list[Piece]]]:
    """What all of these findings share."""
    first = findings[0]
    if first.required:
        yield "required", [safe(first.required)]
    if first.actual and _same(findings, "actual"):
        yield "actual", [safe(first.actual)]
    unlocks = _unlocks(findings, model)
    if unlocks:
        yield "unlocks", [unlocks]
    if first.fix is not None and _same(findings, "fix"):
        note = _APPLICABILITY.get(first.fix.applicability, "")
        title: list[Piece] = [safe(first.fix.title)]
        yield "fix", [*title, " ", Span(f"({note})", FAINT)] if note else title


def _places(findings: list[Finding], width: int) -> Iterator[Line]:
    """Every place by name, its type left out where it is the same for all, with what only it has."""
    with_type = not _one_type(findings)
    names = [place(f, with_type=with_type) for f in findings]
    own = [field for field in ("actual", "fix") if not _same(findings, field)]
    if own:
        for index, (finding, where) in enumerate(zip(findings, names, strict=True)):
            what = "; ".join(filter(None, (_value(finding, field) for field in own)))
            label = Span(("" if index else "at").ljust(LABEL), FAINT, keep=True)
            yield from wrap([label, Span(where, keep=True), f": {what}"], width, 2, 4 + LABEL)
        return
    pieces: list[Piece] = []
    for where in filter(None, names):
        pieces += [Span(where, keep=True), Span(",", keep=True), " "]
    if pieces:
        yield from _row("at", pieces[:-2], width)


def _value(finding: Finding, field: str) -> str:
    if field == "fix":
        return safe(finding.fix.title) if finding.fix is not None else ""
    return safe(finding.actual)


def _same(findings: list[Finding], field: str) -> bool:
    return all(getattr(f, field) == getattr(findings[0], field) for f in findings)


def _unlocks(findings: list[Finding], model: ModelReport) -> str:
    unlock = findings[0].unlocks
    if unlock is None:
        return ""
    others = len(smallest_set(model.findings)) - 1
    together = unlock.in_smallest_set and unlock.with_others > unlock.alone and others > 0
    if unlock.alone:
        each = "each alone" if len(findings) > 1 else "alone"
        text = f"{_gain(unlock.alone, model)} ({share_text(unlock.alone_macs)} of their MACs) {each}"
        return text + (f"; {unlock.with_others} together with {counted(others, 'other')}" if together else "")
    if together:
        return f"{_gain(unlock.with_others, model)} together with {counted(others, 'other')}, none alone"
    return "nothing by itself"


def _smallest_set(model: ModelReport, width: int) -> list[Line]:
    """The changes to make, where there are several; a single one is named in the verdict and in its finding."""
    chosen = smallest_set(model.findings)
    unseen = smallest_set([*model.ignored, *model.accepted])
    if not chosen or len(chosen) + len(unseen) < 2:
        return []
    goal = "runs more of it sparse" if _outcome(model) is Outcome.SPARSE else "makes it sparse"
    title = f"Smallest set of changes that {goal}, all of them needed:"
    lines = wrap([Span(title, STRONG)], width)
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in chosen:
        alike.setdefault((finding.rule, finding.required, finding.location.type), []).append(finding)
    for findings in alike.values():
        lines += _change(findings, width)
    if unseen:
        lines += wrap([f"and {counted(len(unseen), 'change')} for findings that are not shown"], width, 2)
    return lines


def _change(findings: list[Finding], width: int) -> list[Line]:
    first = findings[0]
    what = first.fix.title if first.fix is not None and _same(findings, "fix") else first.name
    where = _where(findings)
    text = f"{where}: {safe(what)}" if where else safe(what)
    return wrap([Span(first.rule, STRONG, keep=True), "  ", text], width, 2, 4 + len(first.rule))


def _gained(chosen: list[Finding]) -> int:
    return max(max(f.unlocks.with_others, f.unlocks.alone) for f in chosen if f.unlocks)


def smallest_set(findings: Iterable[Finding]) -> list[Finding]:
    return [f for f in findings if f.unlocks is not None and f.unlocks.in_smallest_set]


# --- words -----------------------------------------------------------------------------------------------------------


def _rule_at(finding: Finding) -> str:
    where = place(finding)
    return f"{finding.rule} at {where}" if where else f"{finding.rule} {finding.name}"


def _row(label: str, text: list[Piece], width: int) -> list[Line]:
    head = Span(label.ljust(LABEL), FAINT, keep=True)
    return wrap([head, *text], width, 2, 2 + LABEL)


def _one_type(findings: list[Finding]) -> str:
    """The type of operator that all findings are at, or ""."""
    types = {f.location.type for f in findings}
    return safe(types.pop()) if len(types) == 1 else ""


def _gain(count: int, model: ModelReport) -> str:
    """How many convolutions are won, out of all unless the changes make new ones count (such as FULLY_CONNECTED)."""
    summary = _summary(model)
    now = summary.spmm if summary is not None and _outcome(model) is Outcome.SPARSE else 0
    if summary is None or count > summary.pointwise_convs - now:
        return counted(count, "1x1 convolution")
    return f"{count}{' more' if now else ''} of {counted(summary.pointwise_convs, '1x1 convolution')}"
