"""What JSON says of one model: a part of the document of `--format json`, and of a line of `--format jsonl`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.linter.baseline import fingerprints

if TYPE_CHECKING:
    from xnnlint.cost import Gain
    from xnnlint.keras.policy.verdicts import Refusal
    from xnnlint.linter.findings import Finding, FixForecast, FixOutcome, ModelReport, RuntimeOutcome
    from xnnlint.linter.pruning_forecast import PruningForecast
    from xnnlint.xnnpack.plan import Called, Kernel, Plan, Summary


_SIZES = ("now_bytes", "dense_bytes", "sparse_bytes", "gzipped_bytes")


def model_data(model: ModelReport) -> dict[str, Any]:
    """One model of the document."""
    plan = model.plan
    return {
        "path": model.path,
        "format": model.format,
        "exporter": None if plan is None or plan.model.format != "tflite" else plan.model.exporter.value,
        "outcome": model.outcome.value if model.outcome is not None else None,
        "kernels": _kernels(model),
        "subgraphs": [] if plan is None else [_subgraph(called) for called in plan.called],
        "summary": _summary(plan.summary) if plan is not None and plan.summary is not None else None,
        **_value(model),
        "findings": [
            _finding(finding) | {"fingerprint": fingerprint}
            for finding, fingerprint in zip(model.findings, fingerprints(model.findings), strict=True)
        ],
        "fixes": None if model.fixes is None else _fixes(model.fixes),
        "suppressed": {"ignored": len(model.ignored), "baseline": len(model.accepted)},
        "error": model.error,
        **({} if plan is None or not plan.model.unknown else _low_confidence(plan)),
        **({} if not model.by_runtime else {"runtimes": [_runtime(one) for one in model.by_runtime]}),
        **({} if model.policy is None else {"policy": _policy(model)}),
    }


def _runtime(one: RuntimeOutcome) -> dict[str, Any]:
    return {
        "runtime": one.runtime,
        "outcome": one.outcome.value if one.outcome is not None else None,
        "spmm": one.spmm,
        "pointwise_convs": one.pointwise_convs,
        "blockers": list(one.blockers),
    }


def _low_confidence(plan: Plan) -> dict[str, Any]:
    model = plan.model
    left = [name for name in model.unknown if name not in model.kept]
    return {
        "confidence": "low",
        "assumed": {"outcome": plan.outcome.value, "keep_their_inputs": list(model.kept), "left_to_tflite": left},
    }


def _fixes(fixes: FixForecast) -> dict[str, Any]:
    found = {
        "brought": fixes.brought,
        "declined": fixes.declined,
        "converted": fixes.converted,
        "converted_if_slower": fixes.converted_if_slower,
    }
    return {
        "safe": fixes.safe,
        "unsafe": fixes.unsafe,
        **{name: None if outcome is None else _fix_outcome(outcome) for name, outcome in found.items()},
        "converted_untried": fixes.converted_untried,
    }


def _fix_outcome(outcome: FixOutcome) -> dict[str, Any]:
    return {
        "changes": outcome.changes,
        "outcome": outcome.outcome.value,
        "spmm": outcome.spmm,
        "convolutions": outcome.convolutions,
    }


def _policy(model: ModelReport) -> dict[str, Any]:
    verdict = model.policy
    assert verdict is not None
    return {
        "takes": verdict.takes,
        "message": verdict.message,
        "possible_messages": sorted(verdict.possible),
        "prunable": list(verdict.prunable),
        "refusals": [_refusal(refusal, model.plan) for refusal in verdict.refusals],
        "notes": [*verdict.notes, *model.policy_notes],
    }


def _refusal(refusal: Refusal, plan: Plan | None) -> dict[str, Any]:
    from xnnlint.linter.policy_check import runtime_view

    runtime = runtime_view(refusal, plan)
    return {
        "layer": refusal.path,
        "class": refusal.class_name,
        "stage": refusal.stage.value,
        "reached": refusal.reached,
        "required": refusal.required,
        "actual": refusal.actual,
        "runtime": runtime.does.value,
        "runtime_text": runtime.text,
    }


def _kernels(model: ModelReport) -> list[dict[str, Any]]:
    plan = model.plan
    if plan is None:
        return []
    prediction = model.speed.prediction if model.speed is not None else None
    times = [None] * len(plan.operators) if prediction is None else [o.microseconds for o in prediction.operators]
    # `kernels` are some of the operators, in the same order.
    timed = zip(plan.operators, times, strict=False)
    return [_kernel(kernel, next(us for operator, us in timed if operator == kernel)) for kernel in plan.kernels]


def _kernel(kernel: Kernel, us: float | None) -> dict[str, Any]:
    own = {"op": kernel.op, "name": kernel.name, "type": kernel.type, "kernel": kernel.kernel}
    return own | {"predicted_us": _rounded(us)}


def _subgraph(called: Called) -> dict[str, Any]:
    plan = called.plan
    return {
        "subgraph": called.subgraph,
        "name": plan.graph.name,
        "role": called.role,
        "op": called.op,
        "kernels": [_kernel(kernel, None) for kernel in plan.kernels],
        "operators": len(plan.operators),
        "tflite_operators": len(plan.tflite_ops),
    }


def _value(model: ModelReport) -> dict[str, Any]:
    """What the model gains, now and later, and what its weights take."""
    speed, size = model.speed, model.size
    if_fixed = speed.if_fixed if speed is not None else None
    return {
        "predicted_us": None if speed is None else _rounded(speed.prediction.total),
        "gain": None if speed is None else _gain(speed.now),
        "gain_if_fixed": if_fixed and {"assumed_zeros": if_fixed.share, **(_gain(if_fixed) or {})},
        "if_pruned": [_pruned(forecast) for forecast in model.if_pruned],
        "at_schedule_end": None if model.at_schedule_end is None else _pruned(model.at_schedule_end),
        "pruned_weights": size and dict(zip(_SIZES, size, strict=True)),
    }


def _gain(gain: Gain | None) -> dict[str, Any] | None:
    if gain is None:
        return None
    return {
        "ratio": _rounded(gain.ratio),
        "low": _rounded(gain.low),
        "high": _rounded(gain.high),
        "measured_on_cpu": gain.measured_on_cpu,
        "dense_us": _rounded(gain.dense.total),
        "sparse_us": _rounded(gain.sparse.total),
        "pointwise_share": _rounded(gain.dense.pointwise),
    }


def _pruned(forecast: PruningForecast) -> dict[str, Any]:
    return {
        "share": forecast.share,
        "outcome": forecast.outcome.value,
        "spmm": forecast.spmm,
        "pointwise_convs": forecast.pointwise_convs,
        "gain": _gain(forecast.gain),
    }


def _rounded(number: float | None) -> float | None:
    """Three decimals: more are not known."""
    return None if number is None else round(float(number), 3)


def _summary(summary: Summary) -> dict[str, int]:
    # int(): counts may come as numpy integers, which json refuses.
    return {
        "pointwise_convs": int(summary.pointwise_convs),
        "spmm": int(summary.spmm),
        "pointwise_macs": int(summary.pointwise_macs),
        "spmm_macs": int(summary.spmm_macs),
        "pointwise_params": int(summary.pointwise_params),
        "pointwise_zeros": int(summary.pointwise_zeros),
        "partitions": int(summary.partitions),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    unlocks, fix = finding.unlocks, finding.remedy
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "required": finding.required,
        "actual": finding.actual,
        "location": {"op": finding.location.op, "name": finding.location.name},
        "unlocks": None
        if unlocks is None
        else {
            "alone": int(unlocks.alone),
            "alone_macs": float(unlocks.alone_macs),
            "with_others": int(unlocks.with_others),
            "in_smallest_set": bool(unlocks.in_smallest_set),
            "all_or_none": bool(unlocks.all_or_none),
        },
        "fix": None if fix is None else {"title": fix.title, "applicability": fix.applicability.value},
    }
