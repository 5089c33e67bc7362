"""A benchmark as one JSON document; `bench.schema.json` beside this file is its published schema."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from xnnlint.bench.operators import by_family
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool

if TYPE_CHECKING:
    from xnnlint.bench.device import DeviceRun
    from xnnlint.bench.device_log import DeviceLog
    from xnnlint.bench.measure import Measurement, Side
    from xnnlint.bench.operators import TimedOperator
    from xnnlint.cost.prediction import Gain
    from xnnlint.runtime.ratio import Ratio
    from xnnlint.runtime.verify import Setting
    from xnnlint.xnnpack.profile import Profile


def measurement_document(measured: Measurement, setting: Setting, gain: Gain | None, cpu_model: str) -> dict[str, Any]:
    """What was measured here; arguments as for `bench_text.measurement_lines`."""
    target, effort, seen = setting.target, measured.effort, measured.observation
    where = {
        "litert": target.release.version,
        "cpu": target.cpu,
        "execution": target.execution.value,
        "cpu_model": cpu_model,
        "threads": effort.threads,
        "processes": effort.processes,
        "rounds": effort.rounds,
        "seconds": round(effort.seconds, 3),
    }
    error = seen.max_rel_error
    results = {
        "outcome": seen.outcome,
        "undecided": seen.undecided,
        "error": seen.error,
        # Infinite where an element is finite on one side only; JSON has no such number.
        "max_rel_error": "inf" if error == math.inf else error,
    }
    pair = measured.pair
    return {
        **_head(measured.exit_code, setting.profile),
        "path": pair.path,
        "comparison": pair.comparison.value,
        "where": where,
        "note": setting.note or None,
        "ratio": _ratio(measured.ratio),
        "predicted": _predicted(gain),
        "results": results,
        "changes": [{"fix": fix, "places": places} for fix, places in pair.changes],
        "variants": [_variant(measured.before, None), _variant(measured.after, None)],
    }


def device_document(run: DeviceRun) -> dict[str, Any]:
    """What was measured on a device."""
    return {
        **_head(run.exit_code, run.profile),
        "path": run.path,
        "comparison": "device",
        "where": None,
        "note": None,
        "ratio": _ratio(run.ratio),
        "predicted": None,
        "results": None,
        "changes": [],
        "variants": [_variant(side, log) for side, log in zip(run.sides, run.logs, strict=True)],
    }


def _head(exit_code: int, profile: Profile) -> dict[str, Any]:
    planned = {"runtime": profile.runtime, "cpu": profile.cpu}
    return {"schema_version": SCHEMA_VERSION, "tool": tool(), "exit_code": exit_code, "profile": planned}


def _ratio(ratio: Ratio | None) -> dict[str, float | None] | None:
    return None if ratio is None else {"value": ratio.value, "low": ratio.low, "high": ratio.high}


def _predicted(gain: Gain | None) -> dict[str, Any] | None:
    if gain is None:
        return None
    return {"value": gain.ratio, "low": gain.low, "high": gain.high, "measured_on_cpu": gain.measured_on_cpu}


def _variant(side: Side, log: DeviceLog | None) -> dict[str, Any]:
    variant = side.variant
    return {
        "label": variant.label,
        "what": variant.what,
        "bytes": len(variant.data),
        "outcome": variant.plan.outcome.value,
        "spmm": len(variant.plan.spmm_ops),
        "as_planned": side.as_planned if side.operators else None,
        "microseconds": side.microseconds,
        "families": {family.value: time for family, time in by_family(side.operators).items()},
        "operators": [_operator(operator) for operator in side.operators],
        "log": None if log is None else {"path": log.path, "threads": log.threads, "runs": log.runs},
    }


def _operator(operator: TimedOperator) -> dict[str, Any]:
    return {
        "layer": operator.layer,
        "op": operator.op,
        "family": operator.family.value,
        "kernel": None if operator.microseconds is None else operator.kernel,
        "predicted": operator.predicted,
        "microseconds": operator.microseconds,
        "predicted_microseconds": operator.predicted_microseconds,
    }
