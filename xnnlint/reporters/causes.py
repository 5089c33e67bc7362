"""Why a model is not what it could be: findings that ask for the same thing as one cause each, and in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.linter.findings import Applicability, Severity, smallest_set
from xnnlint.model.exporter import Exporter
from xnnlint.reporters.finding_words import counted, impersonal, place, says_all, share_text
from xnnlint.reporters.headline import BROKEN
from xnnlint.reporters.styled_lines import (
    CAUTION,
    FAINT,
    GOOD,
    STRONG,
    Line,
    Piece,
    Span,
    columns,
    name,
    safe,
    shorten,
    wrap,
)
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, Fix, ModelReport

MOST_LINES = 18
"""So many lines are taken by causes; the rest is said in one."""
_FEWEST = 2
_MOST_NAMES = 5
_SHORTEST_NAME = 20
_BEFORE_NAMES = 13  # columns of "  XNN101 [*] "
_AND_MORE = 14
_INDENT = 9  # columns before what stands below a rule's code
_MARKS = {Applicability.SAFE: ("[*]", GOOD), Applicability.UNSAFE: ("[!]", CAUTION)}
_SAID_BY_MESSAGE = (*BROKEN, Condition.WRAPPERS_STRIPPED)
# Where a change is made that is none of the model's layers.
_ELSEWHERE = {
    Condition.PRUNED: "Training",
    Condition.ENOUGH_ZEROS: "Training",
    Condition.SPARSE_CPU: "Device",
    Condition.POLICY_AGREES: "Training",
}


class Cause(Struct, frozen=True):
    """Findings of one rule that ask for the same of operators of one type."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    def same(self, field: str) -> bool:
        """Whether a field is the same for all."""
        return all(getattr(finding, field) == getattr(self.first, field) for finding in self.findings)


def causes(findings: Iterable[Finding]) -> list[Cause]:
    """Findings by what they ask for, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        asked = finding.required if _has_values(finding) else impersonal(finding, "\0")
        repair = finding.repair.applicability if finding.repair is not None else None
        key = (finding.rule, finding.severity, asked, repair, finding.unlocks)
        groups.setdefault((*key, finding.location.type), []).append(finding)
    # Operators of two types are one cause where the same is to be done about both.
    merged: dict[tuple[object, ...], list[Finding]] = {}
    for (*asked_for, kind), group in groups.items():
        titles = {finding.fix for finding in group}
        merged.setdefault((*asked_for, titles.pop() if len(titles) == 1 else kind), []).extend(group)
    return [Cause(tuple(group)) for group in merged.values()]


def why_lines(model: ModelReport, width: int, *, for_pipe: bool, in_detail: bool = False) -> list[Line]:
    """The heading, and every cause; nothing where nothing was found.

    Args:
        in_detail: the findings follow one by one, so only the heading is wanted.
    """
    if not model.findings:
        return [[Span(text)] for text in _nothing_known(model)]
    found = causes(model.findings)
    label = "Why" if _is_bad(model) else "Also"
    lines = wrap([Span(f"{label}: ", STRONG), " ".join(_summed_up(model))], width, 0, 2)
    if in_detail:
        return lines
    shown, room = 0, MOST_LINES
    has_errors = any(cause.first.severity is Severity.ERROR for cause in found)
    for cause in found:
        aside = has_errors and _stands_aside(cause.first, found)
        own = _cause_lines(cause, model, width, for_pipe=for_pipe, aside=aside)
        if shown >= _FEWEST and len(own) > room:
            break
        lines += own
        shown, room = shown + 1, room - len(own)
    rest = found[shown:]
    if rest:
        rules = ", ".join(dict.fromkeys(cause.first.rule for cause in rest))
        more = counted(sum(len(cause.findings) for cause in rest), "more finding")
        lines += wrap([f"and {more}, of {rules}: --verbose shows all"], width, 2)
    if any(_is_unsafe(cause.first) for cause in found[:shown]):
        note = f"Changes in {_place_of_change(model)} need training again, but for those with (same outputs)."
        lines += wrap([Span(note, FAINT)], width, 2)
    return lines


def _stands_aside(finding: Finding, found: Sequence[Cause]) -> bool:
    """Whether what to do is said elsewhere: of a broken model by the blockers that break it; of a note by --verbose."""
    if finding.condition in BROKEN:
        return finding.repair is not None and any(cause.first.unlocks is not None for cause in found)
    return finding.severity is not Severity.ERROR and finding.unlocks is None


def _is_unsafe(finding: Finding) -> bool:
    """Whether it names a change of layers after which the model is to be trained again."""
    elsewhere = finding.condition in _ELSEWHERE
    return finding.fix is not None and finding.fix.applicability is Applicability.UNSAFE and not elsewhere


def _is_bad(model: ModelReport) -> bool:
    return model.outcome is not Outcome.SPARSE or any(f.severity is Severity.ERROR for f in model.findings)


def _nothing_known(model: ModelReport) -> list[str]:
    summary, unknown = model.summary, model.plan is not None and model.plan.model.unknown
    hidden = model.ignored or model.accepted
    if model.outcome is Outcome.DENSE and summary and summary.pointwise_convs and not unknown and not hidden:
        return ["xnnlint knows no set of changes that makes it run sparse."]
    return []


def _summed_up(model: ModelReport) -> list[str]:
    """How many findings there are, and what is common to them: what they unlock together."""
    chosen, unseen = smallest_set(model.findings), smallest_set([*model.ignored, *model.accepted])
    count = len(chosen) + len(unseen)
    errors = [finding for finding in model.findings if finding.severity is Severity.ERROR]
    what = counted(len(errors), "blocker") if errors and _is_bad(model) else counted(len(model.findings), "finding")
    said = [f"{what}."]
    if chosen:
        listed = len(errors) if errors and _is_bad(model) else len(model.findings)
        said.append(f"{_changes(chosen, unseen, listed)} and {_goal(model, _gained(chosen))}.")
        if any(f.unlocks is not None and f.unlocks.all_or_none for f in chosen):
            said.append("With fewer the outputs are wrong.")
        elif count > 1 and not any(f.unlocks is not None and f.unlocks.alone for f in chosen):
            said.append("All are needed.")
    elif not unseen and model.outcome is Outcome.DENSE and not _is_hopeful(model):
        said.append("xnnlint knows no set of changes that makes it run sparse.")
    return said


def _changes(chosen: Sequence[Finding], unseen: Sequence[Finding], listed: int) -> str:
    """What to do with what was counted: "Make these 2 changes", or "Make 2 of these 3 changes (XNN104, XNN201)".

    Args:
        chosen, unseen: of the smallest set, those in the report and those left out of it.
        listed: how many were counted.
    """
    if unseen:
        made = len(chosen) + len(unseen)
        return f"Make these {made} changes ({len(unseen)} of them not shown)"
    if len(chosen) >= listed:
        return "Make this change" if len(chosen) == 1 else f"Make these {len(chosen)} changes"
    rules = Counter(finding.rule for finding in chosen)
    if len(chosen) == 1:
        return f"Make one of these changes, that of {chosen[0].rule},"
    which = ", ".join(f"{count} {rule}" if count > 1 else rule for rule, count in rules.items())
    return f"Make {len(chosen)} of these {listed} changes ({which})"


def _is_hopeful(model: ModelReport) -> bool:
    """Whether something is known to bring part of it to SpMM."""
    fixes = model.fixes
    brought = fixes is not None and any(o is not None and o.spmm for o in (fixes.brought, fixes.declined))
    unknown = model.plan is not None and model.plan.model.unknown
    no_convolutions = model.summary is not None and not model.summary.pointwise_convs
    alone = any(f.unlocks is not None and f.unlocks.alone for f in model.findings)
    return bool(brought or unknown or no_convolutions or alone)


def _gained(chosen: Sequence[Finding]) -> int:
    return max(max(f.unlocks.with_others, f.unlocks.alone) for f in chosen if f.unlocks)


def _goal(model: ModelReport, count: int) -> str:
    """ "13 of 14 1x1 convolutions run sparse"; the changes may make new ones count, such as FULLY_CONNECTED."""
    summary = model.summary
    now = summary.spmm if summary is not None and model.outcome is Outcome.SPARSE else 0
    verb = "runs" if count == 1 else "run"
    right = " and outputs are correct" if model.outcome in (Outcome.WRONG_RESULTS, Outcome.FAILS) else ""
    if summary is None or count > summary.pointwise_convs - now:
        return f"{counted(count, '1x1 convolution')} {verb} sparse{right}"
    return (
        f"{count}{' more' if now else ''} of {counted(summary.pointwise_convs, '1x1 convolution')} {verb} sparse{right}"
    )


# --- one cause -------------------------------------------------------------------------------------------------------


def _cause_lines(cause: Cause, model: ModelReport, width: int, *, for_pipe: bool, aside: bool) -> list[Line]:
    """Where, what is wrong, and what to change; of one that stands aside only the first two."""
    first = cause.first
    mark, style = _MARKS[first.repair.applicability] if first.repair is not None else ("   ", "")
    head: list[Piece] = [Span(first.rule, first.severity.value, keep=True), " ", Span(mark, style, keep=True), " "]
    if first.severity is not Severity.ERROR:
        head += [Span(f"{first.severity.value}:", first.severity.value, keep=True), " "]
    where, problem = _where(cause, None if for_pipe else width), _problem(cause)
    remedy = [] if aside else _remedy(cause, model)
    if aside:
        return wrap([*head, *where, ": " if where else "", problem], width, 2, _INDENT)
    if not where:
        lines = wrap([*head, problem], width, 2, _INDENT)
    else:
        # What needs no second look at values shares its lines with the remedy.
        together = not _has_values(first) and remedy
        lines = wrap([*head, *where], width, 2, _INDENT)
        lines += wrap([problem, *([". ", *remedy] if together else [])], width, _INDENT)
        remedy = [] if together else remedy
    if first.unlocks is not None and first.unlocks.alone and len(smallest_set(model.findings)) != 1:
        each = "each by itself" if len(cause.findings) > 1 else "by itself"
        share = share_text(first.unlocks.alone_macs)
        lines += wrap([f"{each}: {_goal(model, first.unlocks.alone)} ({share} of their MACs)"], width, _INDENT)
    return [*lines, *(wrap(remedy, width, _INDENT) if remedy else [])]


def _has_values(finding: Finding) -> bool:
    """Whether required and actual say what is wrong better than the message."""
    return (
        bool(finding.required and finding.actual)
        and finding.condition not in _SAID_BY_MESSAGE
        and not says_all(finding)
    )


def _problem(cause: Cause) -> str:
    first = cause.first
    if not _has_values(first):
        return safe(first.message if len(cause.findings) == 1 else impersonal(first, "this one"))
    others = "" if cause.same("actual") else " (the first)"
    return f"needs {safe(first.required)}; has {safe(first.actual)}{others}"


def _where(cause: Cause, width: int | None) -> list[Piece]:
    """`conv_1, conv_2 and 9 more (11 CONV_2D)`, or nothing for the model as a whole.

    Args:
        width: of a line; names are shortened, and as many named as fit into one. None: the first ones, as they are.
    """
    first = cause.first
    room = None if width is None else width - _BEFORE_NAMES
    if len(cause.findings) == 1:
        where, called = place(first), name(first.location.name or first.location.tensor)
        if room is not None and columns(where) > room:
            where = where[len(called) :]
            called = shorten(called, max(room - columns(where), _SHORTEST_NAME))
        else:
            where = where[len(called) :]
        return [Span(called, STRONG, keep=True), where] if called or where else []
    names = [name(f.location.name or f.location.tensor) or place(f) for f in cause.findings]
    types = Counter(safe(finding.location.type) or "places" for finding in cause.findings)
    kinds = f" ({', '.join(f'{count} {kind}' for kind, count in types.items())})"
    if not any(names):
        return [kinds.strip(" ()")]
    if room is not None:
        names = [shorten(text, max((room - columns(kinds) - _AND_MORE) // 2, _SHORTEST_NAME)) for text in names]
    count = min(len(names), _MOST_NAMES)
    while room is not None and count > 1 and columns(_joined(names, count) + kinds) > room:
        count -= 1
    pieces: list[Piece] = []
    for number, text in enumerate(names[:count]):
        pieces += [", "] if number else []
        pieces.append(Span(text, STRONG, keep=True))
    return [*pieces, _more(names, count) + kinds]


def _joined(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + _more(names, count)


def _more(names: Sequence[str], count: int) -> str:
    return f" and {len(names) - count} more" if len(names) > count else ""


def _remedy(cause: Cause, model: ModelReport) -> list[Piece]:
    """What to change where the model is made; where that is not known, what `xnnlint fix` does."""
    first = cause.first
    field = "fix" if first.fix is not None else "repair"
    fix: Fix | None = getattr(first, field)
    if fix is None:
        return []
    label = source_of(model, first) if field == "fix" else "xnnlint fix"
    others = "" if cause.same(field) else ", and so on"
    outputs = " (same outputs)" if fix.applicability is Applicability.SAFE else ""
    return [Span(f"{label}: ", FAINT), f"{safe(fix.title)}{others}{outputs}"]


def source_of(model: ModelReport, finding: Finding) -> str:
    """Where a change is to be made: in training, or where the model is written, by what the file was made from."""
    elsewhere = _ELSEWHERE.get(finding.condition) if finding.condition is not None else None
    return elsewhere or _place_of_change(model)


def _place_of_change(model: ModelReport) -> str:
    return (model.plan.model.exporter if model.plan is not None else Exporter.UNKNOWN).source
