"""Verifications as one JSON document; `verify.schema.json` beside this file is its published schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xnnlint.linter.fault_words import fault_words
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool
from xnnlint.runtime.verify import partitions_of
from xnnlint.xnnpack.plan import running

if TYPE_CHECKING:
    from xnnlint.runtime.observation import Observation
    from xnnlint.runtime.verify import Row, Setting, Verification
    from xnnlint.xnnpack.plan import Plan


def document(setting: Setting, models: Iterable[Verification]) -> dict[str, Any]:
    """All models as plain values; consumes `models` one by one, so that each can be let go of."""
    target = setting.target
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "run": {
            "litert": target.release.version,
            "cpu": target.cpu,
            "emulated": target.emulated,
            "execution": target.execution.value,
            "seeds": list(setting.seeds),
        },
        "profile": {"runtime": setting.profile.runtime, "cpu": setting.profile.cpu},
        "note": setting.note or None,
        "models": [_model(model) for model in models],
    }


def _model(model: Verification) -> dict[str, Any]:
    return {
        "path": model.path,
        "agrees": model.agrees,
        "differs": list(model.differs),
        "broken": None if model.broken is None else model.broken.value,
        "predicted": None if model.plan is None else _predicted(model.plan),
        "observed": None if model.observation is None else _observed(model.observation),
        "operators": [_row(row) for row in model.rows],
        "error": model.error,
    }


def _predicted(plan: Plan) -> dict[str, Any]:
    return {
        "outcome": plan.outcome.value,
        "spmm": sum(kernel.is_spmm for part in running(plan) for kernel in part.operators),
        "partitions": sum(len({kernel.partition for kernel in part.operators}) for part in running(plan)),
        "hazards": [
            {"op": h.op, "kind": h.kind.value, "outcome": h.outcome.value, "text": fault_words(h.fault)}
            for h in plan.hazards
        ],
    }


def _observed(seen: Observation) -> dict[str, Any]:
    plain = seen.to_json()
    return {
        "outcome": seen.outcome,
        "undecided": seen.undecided,
        "status": seen.status,
        "error": seen.error,
        "spmm": seen.spmm,
        "partitions": _partitions(seen),
        "reference": seen.reference,
        "reference_error": seen.reference_error,
        "outputs": [
            {**output, "wrong": error.wrong} for output, error in zip(plain["outputs"], seen.outputs, strict=True)
        ],
        "seconds": seen.seconds,
    }


def _partitions(seen: Observation) -> int | None:
    """Of all subgraphs that ran, each once."""
    if seen.kernel_indices is None:
        return None
    indices = [seen.kernel_indices, *(run.kernel_indices for run in seen.called or ())]
    return sum(len(set(partitions_of(numbers))) for numbers in indices)


def _row(row: Row) -> dict[str, Any]:
    return {
        "by": "tflite" if row.tflite else "xnnpack",
        "op": row.op,
        "name": row.name,
        "type": row.type,
        "predicted": row.predicted,
        "observed": row.observed,
        "predicted_partition": row.predicted_partition,
        "observed_partition": row.observed_partition,
        "subgraph": row.subgraph,
        "times": row.times,
    }
