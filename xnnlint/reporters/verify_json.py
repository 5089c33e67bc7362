"""Verifications as one JSON document, or as a line of JSON each; `verify.schema.json` and `verify_line.schema.json`
beside this file are the published schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xnnlint.linter.fault_words import fault_words
from xnnlint.reporters.json_document import SCHEMA_VERSION, tool
from xnnlint.reporters.model_record import Record
from xnnlint.runtime.broken import Broken
from xnnlint.runtime.verify import Verdict, partitions_of
from xnnlint.xnnpack.plan import running

if TYPE_CHECKING:
    from xnnlint.runtime.observation import Observation
    from xnnlint.runtime.verify import Row, Setting, Verification
    from xnnlint.xnnpack.plan import Plan


def document(setting: Setting, models: Iterable[Record]) -> Record:
    """All models as one document.

    Args:
        models: as `line_data` makes them.
    """
    return {**_head(setting), "models": [{key: model[key] for key in _OF_MODEL} for model in models]}


def line_data(setting: Setting, model: Verification, settings: str) -> Record:
    """One model as the document of its line.

    Args:
        settings: what tells this way to verify from others.
    """
    content = model.content
    return {
        **_head(setting),
        "settings": settings,
        "bytes": None if content is None else content.bytes,
        "sha256": None if content is None else content.sha256,
        "version": None if content is None else content.version,
        "exit_code": model.exit_code,
        **_model(model),
    }


def verdict_of(line: Record) -> Verdict:
    """What a line comes to."""
    predicted, observed, broken = line["predicted"], line["observed"], line["broken"]
    return Verdict(
        line["path"],
        line["agrees"],
        tuple(line["differs"]),
        None if broken is None else Broken(broken),
        None if predicted is None else predicted["outcome"],
        None if observed is None else observed["outcome"],
        line["exit_code"],
        line["error"],
    )


def _head(setting: Setting) -> Record:
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
    }


_OF_MODEL = ("path", "agrees", "differs", "broken", "predicted", "observed", "operators", "error")


def _model(model: Verification) -> Record:
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
