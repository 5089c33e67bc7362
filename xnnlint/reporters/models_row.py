"""What the table of many models says of one, before it is known how wide the columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.linter.findings import Severity
from xnnlint.reporters.finding_words import counted
from xnnlint.reporters.headline import outcome_style
from xnnlint.reporters.next_steps import MEANINGS, word
from xnnlint.reporters.value_words import not_measured

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.profile import Profile


def row_of(model: ModelReport, profile: Profile | None, *, failed: bool) -> dict[str, Any]:
    """The cells of a model that was read, as values of JSON.

    Args:
        profile: what it was checked for, where that is another than the run's.
    """
    step, speed = word(model), model.speed
    gain = _gain(model)
    return {
        "path": model.path,
        "profile": profile.name if profile is not None else "",
        "outcome": model.outcome.value if model.outcome is not None else "unknown",
        "style": outcome_style(model, failed=failed),
        "spmm": _spmm(model),
        "gain": gain,
        "note": not_measured(speed.prediction) if speed is not None and gain else "",
        "found": _found(model),
        "step": step,
        "meaning": MEANINGS[step] if step else "",
    }


def _gain(model: ModelReport) -> str:
    """As "1.8x"; what is only gained once it is fixed, in brackets."""
    speed = model.speed
    gain = speed and (speed.now or speed.if_fixed)
    if speed is None or not gain:
        return ""
    ratio = f"{gain.ratio:.1f}x" if gain.ratio < 9.95 else f"{gain.ratio:.0f}x"
    return ratio if speed.now else f"({ratio})"


def _spmm(model: ModelReport) -> str:
    summary = model.summary
    return f"{summary.spmm} of {summary.pointwise_convs}" if summary is not None else ""


def _found(model: ModelReport) -> str:
    """The gravest findings, counted."""
    worst = model.worst
    if worst is None:
        return "none"
    return counted(sum(finding.severity is worst for finding in model.findings), Severity(worst).value)
