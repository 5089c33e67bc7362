"""`xnnlint compare` as a JSON document; `compare.schema.json` beside this file is its published schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.linter.baseline import entry
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool

if TYPE_CHECKING:
    from xnnlint.linter.comparison import Aspect, Comparison, Side
    from xnnlint.linter.findings import Finding, ModelReport


def document(compared: Comparison, worse: list[Aspect]) -> dict[str, Any]:
    """The comparison as plain values."""
    gain = compared.gain
    sizes = compared.sizes
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "before": _model(compared.before, sizes[0]),
        "after": _model(compared.after, sizes[1]),
        "changes": {aspect.value: change.value for aspect, change in compared.changes.items()},
        "worse": [aspect.value for aspect in worse],
        "gain": gain
        and {
            "ratio": round(gain.ratio, 3),
            "low": round(gain.low, 3),
            "high": round(gain.high, 3),
            "measured_on_cpu": gain.measured_on_cpu,
            "before_us": round(gain.dense.total, 3),
            "after_us": round(gain.sparse.total, 3),
        },
        "operators": [{"before": _side(pair.before), "after": _side(pair.after)} for pair in compared.operators],
        "findings_gained": [_finding(finding) for finding in compared.gained],
        "findings_lost": [_finding(finding) for finding in compared.lost],
    }


def _model(model: ModelReport, size: int | None) -> dict[str, Any]:
    plan, profile = model.plan, model.profile
    summary = plan.summary if plan is not None else None
    return {
        "path": model.path,
        "profile": profile and {"runtime": profile.runtime, "cpu": profile.cpu},
        "outcome": None if plan is None else plan.outcome.value,
        "spmm": None if summary is None else int(summary.spmm),
        "pointwise_convs": None if summary is None else int(summary.pointwise_convs),
        "pointwise_zeros": None if summary is None else int(summary.pointwise_zeros),
        "pointwise_params": None if summary is None else int(summary.pointwise_params),
        "bytes": size,
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "op": side.op,
        "name": side.name,
        "type": side.type,
        "shape": [int(size) for size in side.shape],
        "kernels": list(side.kernels),
        "zeros": None if side.zeros is None else round(side.zeros, 6),
        "predicted_us": None if side.microseconds is None else round(side.microseconds, 3),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    known = entry(finding)
    return {"rule": known.rule, "severity": known.severity, "layer": known.layer, "type": known.type}
