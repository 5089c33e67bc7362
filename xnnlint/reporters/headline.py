"""The first lines about a model: its outcome, what that means, and what is known of its speed and its zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.linter.confidence import taken_as
from xnnlint.linter.fault_words import fault_words
from xnnlint.reporters.finding_words import counted, hazard_place, percent, share_text
from xnnlint.reporters.runtime_words import by_runtime_sentence
from xnnlint.reporters.styled_lines import (
    BAD,
    CAUTION,
    FAINT,
    GOOD,
    STRONG,
    Line,
    Piece,
    Span,
    columns,
    safe,
    wrap,
)
from xnnlint.reporters.value_words import (
    if_fixed_sentence,
    now_sentence,
    pruned_sentence,
    pruned_table,
    schedule_sentence,
    size_sentence,
    time_sentence,
)
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.loading import of_application
from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.linter.findings import ModelReport
    from xnnlint.xnnpack.plan import Plan, Summary
    from xnnlint.xnnpack.profile import Profile

BROKEN = (Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS)
"""Conditions of findings that say where and why a model breaks."""

_ZEROS_NEEDED = 2 / 3
_MEANS = {
    Outcome.SPARSE: "Outputs are correct.",
    Outcome.DENSE: "Outputs are correct, but there is no speed-up.",
}


def headline(model: ModelReport, profile: Profile, width: int | None, *, failed: bool) -> list[Line]:
    """`model.tflite: dense: 0 of 14 1x1 convolutions run SpMM`; without a width in one line, the runtime at its end."""
    path = Span(safe(model.path) + ":", STRONG, keep=True)
    outcome = model.outcome
    word = Span(outcome.value if outcome else "unknown", outcome_style(outcome, failed=failed), keep=True)
    short: list[Piece] = [path, " ", word]
    said = _said(model.outcome, model.summary) if model.outcome or model.plan is None else _if_taken(model.plan)
    if model.outcome is Outcome.SPARSE and any(f.condition is Condition.WRAPPERS_STRIPPED for f in model.findings):
        said = f"without its pruning wrappers: {said}"
    assumed = model.plan.model.assume_pruned if model.plan is not None else None
    if assumed is not None and model.outcome is not None:
        said = f"once pruned to {share_text(assumed)}: {said}"
    if width is None:
        return wrap([*short, f": {said}  ", Span(f"({profile.name})", FAINT)], None)
    whole: list[Piece] = [*short, f": {said}"]
    if sum(columns(piece.text if isinstance(piece, Span) else piece) for piece in whole) <= width:
        return wrap(whole, None)
    return [*wrap(short, None), *wrap([said], width, 2)]


def meaning(model: ModelReport, profile: Profile, width: int, *, for_pipe: bool, verbose: bool) -> list[Line]:
    """What the outcome means for the outputs and the speed, and what is known of the weights."""
    said = list(_outputs(model))
    lines = wrap([" ".join(said)], width, 2) if said else []
    zeros = _zeros(model)
    target = "" if for_pipe else f"For {profile.name}."
    if zeros or target:
        lines += wrap([zeros, "  " if zeros and target else "", Span(target, FAINT)], width, 2)
    if model.by_runtime:
        lines += wrap([by_runtime_sentence(model.by_runtime)], width, 2)
    if model.at_schedule_end is not None:
        lines += wrap([schedule_sentence(model.at_schedule_end)], width, 2)
    if len(model.if_pruned) == 1:
        lines += wrap([pruned_sentence(model.if_pruned[0])], width, 2)
    elif model.if_pruned:
        lines += [[Span(f"  {row}")] for row in pruned_table(model.if_pruned)]
    # Where nothing can run sparse, size is all that zeros bring.
    only_size = model.summary is not None and not model.summary.pointwise_convs
    told = (time_sentence(model) if verbose else "", _size(model) if verbose or only_size else "")
    for sentence in filter(None, told):
        lines += wrap([sentence], width, 2)
    for sentence in (*_notes(model), *_policy(model), *_left_out(model)):
        lines += wrap([safe(sentence)], width, 2)
    return lines


def outcome_style(outcome: Outcome | None, *, failed: bool) -> str:
    """Green for sparse, red for broken, yellow for what makes the check fail."""
    if outcome in (Outcome.WRONG_RESULTS, Outcome.FAILS):
        return BAD
    if failed:
        return CAUTION
    return GOOD if outcome is Outcome.SPARSE else STRONG


def _if_taken(plan: Plan) -> str:
    """What becomes of a model, if its layers of unknown effect are what they are taken for."""
    summary = plan.summary
    share = ""
    if plan.outcome in (Outcome.SPARSE, Outcome.DENSE) and summary is not None and summary.pointwise_convs:
        share = f", {summary.spmm} of {summary.pointwise_convs}"
    return f"{plan.outcome.value}{share}, {safe(taken_as(plan.model))}" if plan.outcome else "no prediction"


def _said(outcome: Outcome | None, summary: Summary | None) -> str:
    if outcome is Outcome.WRONG_RESULTS:
        return "outputs will be wrong; no error is reported"
    if outcome is Outcome.FAILS:
        return "the runtime refuses the model or crashes"
    if summary is None:
        return "no prediction"
    if not summary.pointwise_convs:
        return "it has no 1x1 convolution that could run SpMM"
    verb = "runs" if 1 in (summary.spmm, summary.pointwise_convs) else "run"
    share = f", {percent(summary.spmm_macs, summary.pointwise_macs)} of their MACs" if summary.spmm else ""
    return f"{summary.spmm} of {counted(summary.pointwise_convs, '1x1 convolution')} {verb} SpMM{share}"


def _outputs(model: ModelReport) -> Iterator[str]:
    unknown = len(model.plan.model.unknown) if model.plan is not None else 0
    if unknown:
        told = f"what becomes of {counted(unknown, 'layer')} is not known (XNN403)"
        yield f"Low confidence: {told}; the rest is said for that case."
        return
    if model.outcome in (Outcome.WRONG_RESULTS, Outcome.FAILS):
        # The finding says it better, where it is shown.
        if not any(finding.condition in BROKEN for finding in model.findings):
            yield from _breakage(model)
    elif own := of_application(model.plan) if model.plan is not None else []:
        yield f"No verdict on the outputs: {', '.join(map(safe, own))} is your application's."
    elif model.outcome is not None:
        yield _MEANS[model.outcome]
    yield from filter(None, (now_sentence(model), if_fixed_sentence(model)))


def _size(model: ModelReport) -> str:
    form = "as now" if model.format == "tflite" else "as forecast"
    return size_sentence(model.size, form) if model.size is not None else ""


def _zeros(model: ModelReport) -> str:
    summary = model.summary
    if summary is None or not summary.pointwise_params:
        return ""
    share = summary.pointwise_zeros / summary.pointwise_params
    behind = ""
    if model.outcome is not Outcome.SPARSE:
        lacks = any(f.condition is Condition.ENOUGH_ZEROS for f in model.findings) or share <= _ZEROS_NEEDED
        behind = " (over 66.7% needed)" if lacks else " (enough)"
    return f"Zeros in 1x1 weights: {percent(summary.pointwise_zeros, summary.pointwise_params)}{behind}."


def _breakage(model: ModelReport) -> Iterator[str]:
    """Where the model goes wrong, by the first place of the plan."""
    plan = model.plan
    if plan is not None and plan.hazards:
        hazard = plan.hazards[0]
        where = hazard_place(plan, hazard)
        more = len({h.op for h in plan.hazards}) - 1
        also = f" and {counted(more, 'other place')}" if more else ""
        subject = "The sparse path" if hazard.of_sparse_path else "It"
        yield f"{subject} breaks at {where}{also}: {safe(fault_words(hazard.fault))}."


def _notes(model: ModelReport) -> Iterator[str]:
    if model.plan is not None:
        yield from model.plan.model.notes


def _policy(model: ModelReport) -> Iterator[str]:
    """What TFMOT's pruning policy says of the model, where that was asked."""
    verdict = model.policy
    if verdict is None:
        return
    prunes = f"prunes {counted(len(verdict.prunable), '1x1 convolution')}"
    if verdict.takes:
        yield f"TFMOT's pruning policy takes it and {prunes}."
    else:
        refused = counted(len({refusal.path for refusal in verdict.refusals}), "layer")
        yield f"TFMOT's pruning policy refuses it, for {refused}: {verdict.message}."
    yield from (*verdict.notes, *model.policy_notes)


def _left_out(model: ModelReport) -> Iterator[str]:
    """How many findings are not shown, and why."""
    left_out = [
        f"{counted(len(findings), 'finding')} {why}"
        for findings, why in ((model.accepted, "in the baseline"), (model.ignored, "ignored"))
        if findings
    ]
    if left_out:
        yield f"Not shown: {', '.join(left_out)}."
