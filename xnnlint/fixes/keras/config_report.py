"""What was done to a model, as lines of text and as data."""

from __future__ import annotations

from typing import Any

from xnnlint.fixes.keras.config_search import Forecast, Repair
from xnnlint.linter.findings import Applicability
from xnnlint.reporters.styled_lines import BAD, FAINT, GOOD, STRONG, Line, Span, safe, wrap


def repair_lines(done: Repair, width: int, *, unsafe: bool) -> list[Line]:
    """The report in text.

    Args:
        done: what was done.
        width: columns to wrap to; code is never broken.
        unsafe: whether unsafe changes were allowed.
    """
    count = len(done.changes)
    lines: list[Line] = []
    head = f"{count} change{'s' * (count != 1)}" if count else "nothing to change"
    lines += wrap([Span(f"{safe(done.path)}: {head}", STRONG)], width)
    for change in done.changes:
        lines.append([])
        mark = "safe" if change.applicability is Applicability.SAFE else "unsafe"
        lines += wrap([Span(safe(change.layer), STRONG), f": {safe(change.text)} ({mark})"], width)
        lines += [[Span(f"  - {safe(text)}", BAD)] for text in change.before if text not in change.after]
        lines += [[Span(f"  {'+' if text not in change.before else ' '} {safe(text)}", GOOD)] for text in change.after]
        if change.effect:
            lines += wrap([f"train again: {safe(change.effect)}"], width, indent=2, hanging=4)
    lines.append([])
    lines += wrap([f"before  {_verdict(done.before)}"], width, hanging=8)
    if count:
        lines += wrap([f"after   {_verdict(done.after)}"], width, hanging=8)
        lines += wrap([f"proved  {'; '.join(done.proof)}"], width, hanging=8)
        lines += wrap([f"code    {_IN_CODE}"], width, hanging=8)
    for layer, reason in done.refused:
        lines += wrap([Span(f"left    {safe(layer)}: {safe(reason)}")], width, hanging=8)
    for finding in done.remaining:
        what = f"{finding.rule} at {safe(finding.location.name or 'the model')}: {safe(finding.message)}"
        lines += wrap([Span(f"remains {what}")], width, hanging=8)
    if done.remaining and not unsafe:
        lines += wrap([Span(f"        {_TRY_UNSAFE}", FAINT)], width, hanging=8)
    if done.written:
        kept = f"; the model as it was is in {safe(done.backup)}" if done.backup else ""
        lines += wrap([f"written {safe(done.written)}{kept}"], width, hanging=8)
    return lines


_IN_CODE = "make the same changes in the script that builds the model"
_TRY_UNSAFE = "--unsafe-fixes may do more; train again after it"


def _verdict(forecast: Forecast) -> str:
    plan, summary = forecast.plan, forecast.plan.summary
    total = summary.pointwise_convs if summary is not None else 0
    taken = "" if forecast.assumed is None else f", with {forecast.assumed:.0%} zeros in every 1x1 kernel"
    return f"{plan.outcome.value}: {len(plan.spmm_ops)} of {total} 1x1 convolutions run SpMM{taken}"


def repair_data(done: Repair) -> dict[str, Any]:
    """The same for programs."""
    return {
        "path": done.path,
        "written": done.written or None,
        "backup": done.backup or None,
        "exit_code": done.exit_code,
        "assumed_sparsity": done.before.assumed,
        "before": _forecast_data(done.before),
        "after": _forecast_data(done.after),
        "changes": [
            {
                "layer": change.layer,
                "fix": change.fixer,
                "applicability": change.applicability.value,
                "text": change.text,
                "effect": change.effect or None,
                "before": list(change.before),
                "after": list(change.after),
            }
            for change in done.changes
        ],
        "refused": [{"layer": layer, "reason": reason} for layer, reason in done.refused],
        "proof": done.proof,
        "remaining": [
            {"rule": f.rule, "layer": f.location.name, "severity": f.severity.value, "message": f.message}
            for f in done.remaining
        ],
    }


def _forecast_data(forecast: Forecast) -> dict[str, Any]:
    summary = forecast.plan.summary
    return {
        "outcome": forecast.plan.outcome.value,
        "spmm": len(forecast.plan.spmm_ops),
        "pointwise_convs": summary.pointwise_convs if summary is not None else 0,
        "findings": [{"rule": rule, "layer": layer} for rule, layer in sorted(forecast.places().elements())],
    }
