"""What was done to a model, or would be, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import Change
from xnnlint.fixes.result import Measured, Repair
from xnnlint.fixes.tflite.file_version import FileVersion

if TYPE_CHECKING:
    from xnnlint.cost.predict import Gain
    from xnnlint.fixes.keras.config_version import ConfigVersion


def repair_data(done: Repair[Any]) -> dict[str, Any]:
    """The report of one model; places are those of its format: operators of a .tflite file, layers of a Keras model."""
    return _of_file(done) if isinstance(done.after, FileVersion) else _of_config(done)


def _of_file(done: Repair[FileVersion]) -> dict[str, Any]:
    return {
        "path": done.path,
        "format": "tflite",
        **_written(done),
        "before": _file_data(done.before),
        "after": _file_data(done.after),
        "changes": [
            {
                "fix": change.fix,
                "op": change.site,
                "place": change.place,
                "applicability": change.applicability.value,
                "exactness": change.exactness.value,
                "text": change.text,
                "effect": change.effect or None,
                "removed": list(change.before),
                "added": list(change.after),
            }
            for change in done.changes
        ],
        "refused": [{"place": place, "reason": reason} for place, reason in done.refused],
        "proof": None if done.proof is None else _proof_data(done.proof),
        **_time_data(done),
        "remaining": _remaining(done, "name"),
    }


def _of_config(done: Repair[ConfigVersion]) -> dict[str, Any]:
    return {
        "path": done.path,
        **_written(done),
        "assumed_sparsity": done.before.assumed,
        "before": _config_data(done.before),
        "after": _config_data(done.after),
        "changes": [_layer_data(change) for change in done.changes],
        "refused": [{"layer": layer, "reason": reason} for layer, reason in done.refused],
        "proof": [] if done.proof is None else list(done.proof.facts),
        **_time_data(done),
        "remaining": _remaining(done, "layer"),
    }


def _written(done: Repair[Any]) -> dict[str, Any]:
    return {"written": done.written or None, "backup": done.backup or None, "exit_code": done.exit_code}


def _remaining(done: Repair[Any], place: str) -> list[dict[str, Any]]:
    return [
        {"rule": f.rule, place: f.location.name, "severity": f.severity.value, "message": f.message}
        for f in done.remaining
    ]


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


def _layer_data(change: Change) -> dict[str, Any]:
    return {
        "layer": change.place,
        "fix": change.fix,
        "applicability": change.applicability.value,
        "text": change.text,
        "effect": change.effect or None,
        "before": list(change.before),
        "after": list(change.after),
    }


def _proof_data(proof: Any) -> dict[str, Any]:
    observation = proof.observation
    return {
        "passed": proof.passed,
        "max_rel_error": proof.max_rel_error,
        "max_abs_error": proof.max_abs_error,
        "tolerance": proof.tolerance,
        "reference": proof.reference,
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
    summary = version.plan.summary
    return {
        "outcome": version.plan.outcome.value,
        "spmm": len(version.spmm),
        "spmm_that_move_channels": len(version.plan.spmm_ops) - len(version.spmm),
        "pointwise_convs": len(version.pointwise),
        "pointwise_params": summary.pointwise_params if summary is not None else 0,
        "pointwise_zeros": summary.pointwise_zeros if summary is not None else 0,
        "bytes": len(version.data),
        "operators_run": version.operators_run,
    }


def _config_data(version: ConfigVersion) -> dict[str, Any]:
    summary = version.plan.summary
    return {
        "outcome": version.plan.outcome.value,
        "spmm": len(version.plan.spmm_ops),
        "pointwise_convs": summary.pointwise_convs if summary is not None else 0,
        "findings": [{"rule": rule, "layer": layer} for rule, layer in sorted(version.places().elements())],
    }
