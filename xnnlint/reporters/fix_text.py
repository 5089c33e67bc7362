"""What was done to a model, or would be, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import Change
from xnnlint.fixes.not_made import Why
from xnnlint.fixes.result import Declined, Measured, Repair
from xnnlint.fixes.tflite.file_version import FileVersion
from xnnlint.linter.confidence import taken_as
from xnnlint.linter.findings import Finding
from xnnlint.reporters.durations import duration
from xnnlint.reporters.not_made_words import line
from xnnlint.reporters.styled_lines import BAD, FAINT, GOOD, STRONG, Line, Span, name, safe, wrap
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.cost.prediction import Gain
    from xnnlint.fixes.keras.config_version import ConfigVersion

_SHOWN = 4
_BEHIND_CLUSTER, _NO_POINTWISE = "XNN305", "XNN304"
_HANGING = 8
_EXACTNESS = {"exact": "same bits", "rounding": "same but for rounding", "different": "other outputs"}
_IN_CODE = "make the same changes in the script that builds the model"
_OF_NO_INTEREST = (Why.NOT_NEEDED, Why.OTHER_WAY, Why.SLOWER)
_NOT_PROVEN = "no: it was not proven (--no-proof)"


def repair_lines(done: Repair[Any], width: int, *, diff: bool = False) -> list[Line]:
    """The report in text.

    Args:
        width: columns to wrap to; operators and code are never broken.
        diff: whether to show every place of a .tflite file with the operators removed and added; of a Keras model every
            place is always shown.
    """
    is_file = isinstance(done.after, FileVersion)
    count = len(done.changes)
    nothing = "nothing to change" if done.declined is None else "nothing is changed, since it does not pay"
    head = f"{count} change{'s' * (count != 1)}" if count else nothing
    lines: list[Line] = wrap([Span(f"{safe(done.path)}: {head}", STRONG)], width)
    if not is_file:
        lines += _layers(done.changes, width)
    else:
        lines += _places(done.changes, width) if diff else _kinds(done.changes, width)
    lines.append([])
    verdict = file_verdict if is_file else config_verdict
    lines += _row("before", verdict(done.before), width)
    if count:
        lines += _row("after", verdict(done.after), width)
        lines += _proved(done, width)
        if not is_file:
            lines += _row("code", _IN_CODE, width)
        lines += _row(*made_faster(done), width)
    if done.declined is not None:
        lines += _row("slower", _not_made(done.declined, verdict(done.declined.version)), width)
    lines += _left(done, width, is_file)
    lines += _remaining(done.remaining, width, is_file)
    lines += _dense(done, width, is_file)
    if done.with_unsafe is not None:
        text = f"--unsafe-fixes makes it {verdict(done.with_unsafe)}; train again after it"
        lines += _row("more", text, width)
    if done.written:
        was = "the original is" if is_file else "the original model is in"
        kept = f"; {was} {safe(done.backup)}" if done.backup else ""
        kept = kept if done.changes else f"{kept}, unchanged"
        lines += _row("written", f"{safe(done.written)}{kept}", width)
    return lines


def _row(key: str, text: str, width: int, style: str = "") -> list[Line]:
    return wrap([Span(f"{key:7} {text}", style)], width, hanging=_HANGING)


def _below(text: str, width: int, style: str = "") -> list[Line]:
    """More of a row."""
    return wrap([Span(text, style)], width, indent=_HANGING, hanging=_HANGING)


def _named(place: str, is_file: bool) -> str:
    """A tensor's name can be as long as its file; a layer's is the user's own."""
    return name(place) if is_file else safe(place)


def _proved(done: Repair[Any], width: int) -> list[Line]:
    if done.proof is not None and done.proof.facts:
        return _row("proved", "; ".join(done.proof.facts), width)
    return _row("proved", _NOT_PROVEN, width, BAD) if done.written else []


def _left(done: Repair[Any], width: int, is_file: bool) -> list[Line]:
    """What was considered and not made: unsafe changes, and safe ones that would do harm or do not fit; of others
    nobody needs to know."""
    lines: list[Line] = []
    told = [item for item in done.not_made if not item.is_safe or item.why not in _OF_NO_INTEREST]
    for item in told:
        lines += _row("left", safe(line(item, lambda place: _named(place, is_file))), width)
    named = {place for item in told for place in (*item.places, item.fix)}
    for place, why in done.refused:
        if place not in named:
            lines += _row("left", f"{_named(place, is_file)}: {safe(why)}", width)
    return lines


def _remaining(findings: Iterable[Finding], width: int, is_file: bool, key: str = "remains") -> list[Line]:
    """Findings that say the same, of several places, in one line."""
    return [line for group in _alike(findings) for line in _standing(group, width, is_file, key)]


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.message), []).append(finding)
    return list(groups.values())


def _standing(group: Sequence[Finding], width: int, is_file: bool, key: str) -> list[Line]:
    first = group[0]
    where = _named(first.location.name or "the model", is_file)
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return _row(key, f"{first.rule} at {where}{more}: {safe(first.message)}", width)


def _dense(done: Repair[Any], width: int, is_file: bool) -> list[Line]:
    """What keeps the rest of a model dense of which a part runs sparse, what would help by itself, else where the
    sparse part ends; and why nothing in a model could run sparse."""
    others = [f for f in done.result.findings if f not in done.remaining]
    if done.after.plan.outcome is not Outcome.SPARSE:
        return [line for f in others if f.rule == _NO_POINTWISE for line in _why_not(f, done, width, is_file)]
    blockers = _alike(f for f in others if f.unlocks is not None)
    lines = [line for group in blockers[:_SHOWN] for line in _standing(group, width, is_file, "dense")]
    if len(blockers) > _SHOWN:
        left = sum(map(len, blockers[_SHOWN:]))
        lines += _below(f"and {left} more; xnnlint check lists them", width, FAINT)
    if not blockers:
        lines += _remaining((f for f in others if f.rule == _BEHIND_CLUSTER), width, is_file, "dense")
    return lines


def _why_not(finding: Finding, done: Repair[Any], width: int, is_file: bool) -> list[Line]:
    lines = _standing([finding], width, is_file, "dense")
    lines += _below(f"needs {safe(finding.required)}; has {safe(finding.actual)}", width)
    if finding.fix is not None:
        lines += _below(f"{done.after.plan.model.exporter.source}: {safe(finding.fix.title)}", width)
    return lines


# --- changes ---------------------------------------------------------------------------------------------------------


def _kinds(changes: Sequence[Change], width: int) -> list[Line]:
    """One paragraph for each kind of change, with the places."""
    lines: list[Line] = []
    for kind in dict.fromkeys(change.fix for change in changes):
        same = [change for change in changes if change.fix == kind]
        first = same[0]
        lines.append([])
        lines += wrap([Span(kind, STRONG), f" ({_mark(first)}), {len(same)} place{'s' * (len(same) != 1)}"], width)
        for change in same[:_SHOWN]:
            lines += wrap([f"{name(change.place)}: {safe(change.text)}"], width, indent=2, hanging=4)
        if len(same) > _SHOWN:
            lines.append([Span(f"  and {len(same) - _SHOWN} more; --diff shows all", FAINT)])
        lines += _effect(first, width)
    return lines


def _places(changes: Iterable[Change], width: int) -> list[Line]:
    """Every place with the operators that go and come."""
    lines: list[Line] = []
    for change in changes:
        lines.append([])
        what = f": {safe(change.text)} [{change.fix}, {_mark(change)}]"
        lines += wrap([Span(name(change.place), STRONG), what], width)
        lines += [[Span(f"  - {safe(text)}", BAD)] for text in change.before]
        lines += [[Span(f"  + {safe(text)}", GOOD)] for text in change.after]
        lines += _effect(change, width)
    return lines


def _layers(changes: Iterable[Change], width: int) -> list[Line]:
    """Every place with the layers as code; those that stay are shown once."""
    lines: list[Line] = []
    for change in changes:
        lines.append([])
        mark = "safe" if change.is_safe else "unsafe"
        lines += wrap([Span(safe(change.place), STRONG), f": {safe(change.text)} ({mark})"], width)
        lines += [[Span(f"  - {safe(text)}", BAD)] for text in change.before if text not in change.after]
        lines += [[Span(f"  {' ' if text in change.before else '+'} {safe(text)}", GOOD)] for text in change.after]
        lines += _effect(change, width)
    return lines


def _effect(change: Change, width: int) -> list[Line]:
    return wrap([f"train again: {safe(change.effect)}"], width, indent=2, hanging=4) if change.effect else []


def _mark(change: Change) -> str:
    return f"{'safe' if change.is_safe else 'unsafe'}, {_EXACTNESS[change.exactness.value]}"


# --- before and after ------------------------------------------------------------------------------------------------


def file_verdict(version: FileVersion) -> str:
    """What the runtime does with a .tflite file."""
    plan, summary = version.plan, version.plan.summary
    params = summary.pointwise_params if summary is not None else 0
    zeros = summary.pointwise_zeros / params if summary is not None and params else 0
    return (
        f"{plan.outcome.value}: {len(version.spmm)} of {len(version.pointwise)} 1x1 convolutions run SpMM, "
        f"{zeros:.0%} zeros, {len(version.data):,} bytes, {version.operators_run} operators run"
    )


def config_verdict(version: ConfigVersion) -> str:
    """What the runtime would do with a Keras model."""
    plan = version.plan
    taken = "" if version.assumed is None else f", with {version.assumed:.0%} zeros in every 1x1 kernel"
    text = f"{plan.outcome.value}: {len(version.spmm)} of {len(version.pointwise)} 1x1 convolutions run SpMM{taken}"
    return f"unknown; {text}, {safe(taken_as(plan.model))}" if plan.model.unknown else text


# --- time ------------------------------------------------------------------------------------------------------------


def made_faster(done: Repair[Any]) -> tuple[str, str]:
    """How fast the changed model is beside the one before: a word for it, and a sentence."""
    predicted, measured = done.result.gain, done.measured
    if measured is not None:
        guess = "" if predicted is None else f"; predicted {predicted.ratio:.2f} on {_cpu(predicted)}"
        return _key(measured.ratio.is_faster, measured.ratio.is_slower), f"{_measured(measured)}{guess}"
    reason = f", and not measured: {done.not_measured}" if done.not_measured else ""
    if predicted is None:
        return "time", f"not predicted{reason}"
    between = f"({predicted.low:.2f} to {predicted.high:.2f})"
    text = f"predicted to be {predicted.ratio:.2f} times as fast {between} on {_cpu(predicted)}{reason}"
    return _key(predicted.low > 1, predicted.high < 1), text


def _key(is_faster: bool, is_slower: bool) -> str:
    return "faster" if is_faster else "slower" if is_slower else "as fast"


def _not_made(declined: Declined[Any], verdict: str) -> str:
    """Why nothing is changed, with the figures."""
    gain, measured = declined.gain, declined.measured
    figures = (
        f"it is predicted to be {gain.ratio:.2f} times as fast then, {duration(gain.sparse.total)} instead of "
        f"{duration(gain.dense.total)} on {_cpu(gain)}"
        if measured is None
        else f"it is {_measured(measured)}, {duration(measured.after)} instead of {duration(measured.before)}; "
        f"predicted {gain.ratio:.2f} on {_cpu(gain)}"
    )
    return f"the possible changes would make it {verdict}; but {figures}. --even-if-slower makes them anyway"


def _measured(measured: Measured) -> str:
    ratio = measured.ratio
    between = "" if ratio.low is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.value:.2f} times as fast{between}, measured {measured.place}"


def _cpu(gain: Gain) -> str:
    return gain.sparse.profile.cpu + ("" if gain.measured_on_cpu else " (not measured there yet)")
