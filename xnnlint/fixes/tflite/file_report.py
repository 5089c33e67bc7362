"""What was done to a .tflite file, as lines of text and as data."""

from __future__ import annotations

from typing import Any

from xnnlint.fixes.tflite.file_fixer import NOT_PROVEN, TfliteRepair
from xnnlint.fixes.tflite.operator_change import Change
from xnnlint.fixes.tflite.search_changes import State
from xnnlint.linter.findings import Applicability
from xnnlint.reporters.styled_lines import BAD, FAINT, GOOD, STRONG, Line, Span, name, safe, wrap


def repair_lines(done: TfliteRepair, width: int, *, unsafe: bool, diff: bool) -> list[Line]:
    """The report in text.

    Args:
        width: columns to wrap to; operators are never broken.
        unsafe: whether unsafe fixes were allowed.
        diff: whether to show every place with the operators removed and added.
    """
    result = done.result
    count = len(result.changes)
    head = f"{count} change{'s' * (count != 1)}" if count else "nothing to change"
    lines: list[Line] = wrap([Span(f"{safe(done.path)}: {head}", STRONG)], width)
    lines += _places(result.changes, width) if diff else _kinds(result.changes, width)
    lines.append([])
    lines += wrap([f"before  {_verdict(result.before)}"], width, hanging=8)
    if count:
        lines += wrap([f"after   {_verdict(result.after)}"], width, hanging=8)
        proved = "; ".join(done.proof.facts) if done.proof is not None else ""
        if proved:
            lines += wrap([f"proved  {proved}"], width, hanging=8)
        elif done.written:
            lines += wrap([Span(f"proved  no: {NOT_PROVEN} (--no-proof)", BAD)], width, hanging=8)
        if cost := _cost(result.before, result.after):
            lines += wrap([f"cost    {cost}"], width, hanging=8)
    for place, reason in result.refused:
        lines += wrap([f"left    {name(place)}: {safe(reason)}"], width, hanging=8)
    for finding in result.remaining:
        what = f"{finding.rule} at {name(finding.location.name or 'the model')}: {safe(finding.message)}"
        lines += wrap([f"remains {what}"], width, hanging=8)
    if result.remaining and not unsafe:
        lines += wrap([Span("        --unsafe-fixes may do more; train again after it", FAINT)], width, hanging=8)
    if done.written:
        kept = f"; the file as it was is {safe(done.backup)}" if done.backup else ""
        lines += wrap([f"written {safe(done.written)}{kept}"], width, hanging=8)
    return lines


def _kinds(changes: tuple[Change, ...], width: int) -> list[Line]:
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
        if first.effect:
            lines += wrap([f"train again: {safe(first.effect)}"], width, indent=2, hanging=4)
    return lines


_SHOWN = 4
_WORTH_A_WORD = 1.2


def _places(changes: tuple[Change, ...], width: int) -> list[Line]:
    """Every place with the operators that go and come."""
    lines: list[Line] = []
    for change in changes:
        lines.append([])
        lines += wrap(
            [Span(name(change.place), STRONG), f": {safe(change.text)} [{change.fix}, {_mark(change)}]"], width
        )
        lines += [[Span(f"  - {safe(text)}", BAD)] for text in change.removed]
        lines += [[Span(f"  + {safe(text)}", GOOD)] for text in change.added]
        if change.effect:
            lines += wrap([f"train again: {safe(change.effect)}"], width, indent=2, hanging=4)
    return lines


def _mark(change: Change) -> str:
    safe_or_not = "safe" if change.applicability is Applicability.SAFE else "unsafe"
    exactness = {"exact": "same bits", "rounding": "same but for rounding", "different": "other outputs"}
    return f"{safe_or_not}, {exactness[change.exactness.value]}"


def _verdict(state: State) -> str:
    plan, summary = state.plan, state.plan.summary
    zeros = (
        summary.pointwise_zeros / summary.pointwise_params if summary is not None and summary.pointwise_params else 0
    )
    return (
        f"{plan.outcome.value}: {len(state.spmm)} of {len(state.pointwise)} 1x1 convolutions run SpMM, "
        f"{zeros:.0%} zeros, {len(state.data):,} bytes, {_running(state)} operators run"
    )


def _running(state: State) -> int:
    """How many operators a run takes, XNNPACK's and those left to TFLite."""
    return len(state.plan.operators) + len(state.plan.tflite_ops)


def _cost(before: State, after: State) -> str:
    """A sentence where the change may cost more than SpMM brings; empty where it hardly does."""
    if _running(after) <= _WORTH_A_WORD * _running(before):
        return ""
    return "the new file runs more operators than the old one; measure on the device whether it is faster"


def repair_data(done: TfliteRepair) -> dict[str, Any]:
    """The same for programs."""
    result, proof = done.result, done.proof
    return {
        "path": done.path,
        "format": "tflite",
        "written": done.written or None,
        "backup": done.backup or None,
        "exit_code": done.exit_code,
        "before": _state_data(result.before),
        "after": _state_data(result.after),
        "changes": [
            {
                "fix": change.fix,
                "op": change.uid,
                "place": change.place,
                "applicability": change.applicability.value,
                "exactness": change.exactness.value,
                "text": change.text,
                "effect": change.effect or None,
                "removed": list(change.removed),
                "added": list(change.added),
            }
            for change in result.changes
        ],
        "refused": [{"place": place, "reason": reason} for place, reason in result.refused],
        "proof": None
        if proof is None
        else {
            "passed": proof.passed,
            "max_rel_error": proof.max_rel_error,
            "max_abs_error": proof.max_abs_error,
            "tolerance": proof.tolerance,
            "reference": proof.reference,
            "facts": list(proof.facts),
            "run": None if proof.observation is None else _run_data(proof.observation),
        },
        "remaining": [
            {"rule": f.rule, "name": f.location.name, "severity": f.severity.value, "message": f.message}
            for f in result.remaining
        ],
    }


def _run_data(observation: Any) -> dict[str, Any]:
    return {
        "litert": observation.litert,
        "cpu": observation.cpu,
        "emulated": observation.emulated,
        "execution": observation.execution.value,
        "outcome": observation.outcome,
        "spmm": observation.spmm,
        "max_rel_error": observation.max_rel_error,
    }


def _state_data(state: State) -> dict[str, Any]:
    summary = state.plan.summary
    return {
        "outcome": state.plan.outcome.value,
        "spmm": len(state.spmm),
        "spmm_that_move_channels": len(state.plan.spmm_ops) - len(state.spmm),
        "pointwise_convs": len(state.pointwise),
        "pointwise_params": summary.pointwise_params if summary is not None else 0,
        "pointwise_zeros": summary.pointwise_zeros if summary is not None else 0,
        "bytes": len(state.data),
        "operators_run": _running(state),
    }
