"""What was done to a model, or would be, as data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import Change
from xnnlint.fixes.not_made import NotMade
from xnnlint.fixes.result import Measured, Repair, Version
from xnnlint.fixes.tflite.file_version import FileVersion
from xnnlint.reporters.not_made_words import reason

if TYPE_CHECKING:
    from xnnlint.cost.prediction import Gain
    from xnnlint.fixes.keras.config_version import ConfigVersion


def repair_data(done: Repair[Any]) -> dict[str, Any]:
    """What is said of one model, in one form for both kinds of files; its schema is `reporters/fix.schema.json`.

    Places are those of the format: operators of a .tflite file by their outputs, layers of a Keras model by name.
    """
    is_file = isinstance(done.after, FileVersion)
    version = _file_data if is_file else _config_data
    return {
        "path": done.path,
        "format": Path(done.path).suffix.lstrip(".").lower(),
        **_written(done),
        "error": None,
        "assumed_sparsity": done.before.assumed,
        "before": version(done.before),
        "after": version(done.after),
        "changes": [_change_data(change, is_file=is_file) for change in done.changes],
        "refused": [{"place": place, "reason": reason} for place, reason in done.refused],
        "not_made": [_not_made_data(item) for item in done.not_made],
        "proof": None if done.proof is None else _proof_data(done.proof),
        **_time_data(done),
        "remaining": [
            {"rule": f.rule, "place": f.location.name, "severity": f.severity.value, "message": f.message}
            for f in done.remaining
        ],
    }


def failure_data(path: str, reason: str, exit_code: int) -> dict[str, Any]:
    """The same of a model that could not be fixed."""
    empty = ("written", "backup", "assumed_sparsity", "before", "after", "proof", "time", "not_measured", "declined")
    return {
        "path": path,
        "format": Path(path).suffix.lstrip(".").lower(),
        "exit_code": exit_code,
        "error": reason,
        "changes": [],
        "refused": [],
        "not_made": [],
        "remaining": [],
        **dict.fromkeys(empty),
    }


def _change_data(change: Change, *, is_file: bool) -> dict[str, Any]:
    return {
        "fix": change.fix,
        "place": change.place,
        "op": change.site if is_file else None,
        "applicability": change.applicability.value,
        "exactness": change.exactness.value,
        "text": change.text,
        "effect": change.effect or None,
        "removed": list(change.before),
        "added": list(change.after),
    }


def _not_made_data(item: NotMade) -> dict[str, Any]:
    return {
        "fix": item.fix,
        "applicability": item.applicability.value,
        "why": item.why.value,
        "reason": reason(item),
        "places": list(item.places),
    }


def _written(done: Repair[Any]) -> dict[str, Any]:
    return {"written": done.written or None, "backup": done.backup or None, "exit_code": done.exit_code}


def _time_data(done: Repair[Any]) -> dict[str, Any]:
    """Of the changes that were made, and of those that were not since they do not pay."""
    declined = done.declined
    time = {"predicted": _gain_data(done.result.gain), "measured": _measured_data(done.measured)}
    return {
        "time": time if done.changes else None,
        "not_measured": done.not_measured or None,
        "declined": None
        if declined is None
        else {
            "predicted": _gain_data(declined.gain),
            "measured": _measured_data(declined.measured),
            "outcome": declined.version.plan.outcome.value,
            "spmm": len(declined.version.plan.spmm_ops),
            "fixes": list(dict.fromkeys(change.fix for change in declined.version.changes)),
        },
    }


def _gain_data(gain: Gain | None) -> dict[str, Any] | None:
    if gain is None:
        return None
    return {
        "value": gain.ratio,
        "low": gain.low,
        "high": gain.high,
        "before_microseconds": gain.dense.total,
        "after_microseconds": gain.sparse.total,
        "cpu": gain.sparse.profile.cpu,
        "measured_on_cpu": gain.measured_on_cpu,
    }


def _measured_data(measured: Measured | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {
        "value": measured.ratio.value,
        "low": measured.ratio.low,
        "high": measured.ratio.high,
        "before_microseconds": measured.before,
        "after_microseconds": measured.after,
        "cpu": measured.cpu,
        "execution": measured.execution,
    }


def _proof_data(proof: Any) -> dict[str, Any]:
    """Of a .tflite file what was measured in runs; of a Keras model the facts alone."""
    observation = getattr(proof, "observation", None)
    return {
        "passed": getattr(proof, "passed", True),
        "max_rel_error": getattr(proof, "max_rel_error", None),
        "max_abs_error": getattr(proof, "max_abs_error", None),
        "tolerance": getattr(proof, "tolerance", None),
        "reference": getattr(proof, "reference", None),
        "facts": list(proof.facts),
        "run": None if observation is None else _run_data(observation),
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


def _file_data(version: FileVersion) -> dict[str, Any]:
    return {
        **_version_data(version),
        "bytes": len(version.data),
        "operators_run": version.operators_run,
        "findings": None,
    }


def _config_data(version: ConfigVersion) -> dict[str, Any]:
    return {
        **_version_data(version),
        "bytes": None,
        "operators_run": None,
        "findings": [{"rule": rule, "place": layer} for rule, layer in sorted(version.places().elements())],
    }


def _version_data(version: Version) -> dict[str, Any]:
    summary = version.plan.summary
    return {
        "outcome": version.plan.outcome.value,
        "spmm": len(version.spmm),
        "spmm_that_move_channels": len(version.plan.spmm_ops) - len(version.spmm),
        "pointwise_convs": len(version.pointwise),
        "pointwise_params": summary.pointwise_params if summary is not None else 0,
        "pointwise_zeros": summary.pointwise_zeros if summary is not None else 0,
    }
