"""A benchmark for a person: what it says first, then where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xnnlint.bench.families import Family
from xnnlint.bench.operators import Cell, LayerTimes, TimedOperator, by_family, by_layer
from xnnlint.bench.variants import Comparison
from xnnlint.linter.fault_words import fault_words
from xnnlint.reporters.durations import duration
from xnnlint.reporters.styled_lines import (
    BAD,
    FAINT,
    GOOD,
    STRONG,
    Line,
    Piece,
    Span,
    columns,
    name,
    safe,
    shorten,
    wrap,
)

if TYPE_CHECKING:
    from xnnlint.bench.device import DeviceRun
    from xnnlint.bench.measure import Measurement, Side
    from xnnlint.cost.prediction import Gain
    from xnnlint.runtime.ratio import Ratio
    from xnnlint.runtime.verify import Setting

LABEL = 11  # columns of "predicted  " and the like
FIRST_COLUMN, NUMBERS = 26, 12
SHOWN = 10
"""Layers that are shown, unless all are asked for."""
DIFFERENCES = 8
_THAN = {
    Comparison.STORED_DENSE: ("sparse, it", "stored dense"),
    Comparison.FIXED: ("fixed, it", "before"),
    Comparison.PRUNED: ("pruned, it", "unpruned"),
    Comparison.FILES: ("the second", "the first"),
}
"""Subject and what it is compared with, for "sparse, it is twice as fast as stored dense"."""


def measurement_lines(
    measured: Measurement, setting: Setting, gain: Gain | None, cpu_model: str, width: int, *, every_layer: bool = False
) -> list[Line]:
    """What was measured here.

    Args:
        gain: the cost model's prediction; None where there is none.
        cpu_model: what this machine calls its processor.
        width: columns to wrap to.
        every_layer: whether to show all layers, in their order.
    """
    lines = wrap([Span(f"{safe(measured.pair.path)}:", STRONG, keep=True), " ", *_verdict(measured)], width)
    for label, text in _facts(measured, setting, gain, cpu_model):
        lines += wrap([Span(label.ljust(LABEL), FAINT, keep=True), *text], width, 2, 2 + LABEL)
    before, after = measured.before, measured.after
    if measured.ratio is not None:
        lines += [[], *_family_table(before, after), [], *_layer_table(before, after, width, every_layer)]
    return lines


def _verdict(measured: Measurement) -> list[Piece]:
    subject, other = _THAN[measured.pair.comparison]
    if measured.ratio is None:
        return [Span(f"{subject} fails", BAD), ", so that nothing was timed"]
    told = f"{subject} is {_times(measured.ratio)} as {other}"
    if not measured.is_right:
        is_wrong = measured.observation.outcome == "wrong-results"
        why = "its outputs are wrong" if is_wrong else "whether its outputs are correct is not known"
        return [Span(f"no gain, {why}", BAD), f" ({told})"]
    if measured.ratio.is_slower:
        return [Span("slower: ", BAD), told]
    return [Span("faster: ", GOOD), told] if measured.ratio.is_faster else [Span("no difference: ", STRONG), told]


def _times(ratio: Ratio) -> str:
    between = "" if ratio.low is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.value:.2f} times as fast{between}"


def _facts(
    measured: Measurement, setting: Setting, gain: Gain | None, cpu_model: str
) -> Iterator[tuple[str, list[Piece]]]:
    """Label and text of each paragraph."""
    pair, seen = measured.pair, measured.observation
    yield "compared", [f"{safe(pair.after.what)}, and {safe(pair.before.what)}"]
    if pair.changes:
        yield "changes", [", ".join(f"{fix} ({places})" if places > 1 else fix for fix, places in pair.changes)]
    before, after = measured.before, measured.after
    if before.microseconds is not None and after.microseconds is not None:
        yield "time", [f"{duration(before.microseconds)} -> {duration(after.microseconds)}, {_spmm(measured)}"]
    yield "outputs", [_results(measured)]
    if not before.variant.plan.is_correct:
        yield before.variant.label, [Span(f"predicted to give {before.variant.plan.outcome.value}", BAD)]
    for side in (before, after):
        if differing := [operator for operator in side.operators if not operator.agrees]:
            yield "differs", [Span(f"{side.variant.label}: ", BAD), *_differences(differing)]
    if gain is not None:
        yield "predicted", [_prediction(gain)]
    effort = measured.effort
    if effort.processes:
        threads = f"{effort.threads} thread{'s' * (effort.threads > 1)}"
        runs = f"{effort.processes} processes, {effort.rounds:.0f} runs of each in turns"
        yield "measured", [f"{seen.place}, {threads}; {runs}"]
    if setting.note:
        yield "note", [safe(setting.note)]
    if effort.processes:
        yield "holds for", [_place(setting, cpu_model)]


def _spmm(measured: Measurement) -> str:
    before, after = (len(side.variant.plan.spmm_ops) for side in (measured.before, measured.after))
    return f"{before} -> {after} operators run SpMM"


def _results(measured: Measurement) -> Piece:
    seen = measured.observation
    if seen.status != "ran":
        return Span(safe(seen.error or seen.status), BAD)
    if seen.outcome is None:
        return Span(f"not judged: {safe(seen.undecided or '')}", BAD)
    error = f"relative error {seen.max_rel_error:.0e}" if seen.max_rel_error else "no error"
    if not measured.is_right:
        return Span(f"wrong: {error}", BAD)
    pruned = "; pruned in memory, so its accuracy is lost" if measured.pair.comparison is Comparison.PRUNED else ""
    return f"correct, {error}{pruned}"


def _differences(differing: Sequence[TimedOperator]) -> list[Piece]:
    told = "; ".join(difference(operator) for operator in differing[:DIFFERENCES])
    more = len(differing) - DIFFERENCES
    return [told, f"; and {more} more" if more > 0 else ""]


def difference(operator: TimedOperator) -> str:
    """What ran differently than predicted, for a sentence."""
    layer = f"{name(operator.layer)}: " if operator.layer else ""
    if operator.predicted is None:
        return f"{layer}{safe(operator.kernel)} ran, and was not predicted"
    if operator.microseconds is None:
        return f"{layer}{safe(operator.predicted)} was predicted, and did not run"
    return f"{layer}{safe(operator.kernel)} ran instead of {safe(operator.predicted)}"


def _prediction(gain: Gain) -> str:
    scaled = "" if gain.measured_on_cpu else "; not measured on this kind of CPU"
    return f"{gain.ratio:.2f} times as fast ({gain.low:.2f} to {gain.high:.2f}) by the cost model{scaled}"


def _place(setting: Setting, cpu_model: str) -> str:
    own = {
        "x86-sse": "with AVX masked, since XNNPACK has no sparse path on x86 with AVX",
        "arm64": "and others of its kind",
    }.get(setting.target.cpu, "")
    return (
        f"this machine's CPU ({safe(cpu_model)}), {own}. On a phone the ratio will differ; --log reads times that "
        "were measured there"
    )


# --- on a device -----------------------------------------------------------------------------------------------------


def device_lines(run: DeviceRun, width: int, *, every_layer: bool = False) -> list[Line]:
    """What was measured on a device; arguments as for `measurement_lines`."""
    lines = wrap([Span(f"{safe(run.path)}:", STRONG, keep=True), " ", *_device_verdict(run)], width)
    for label, text in _device_facts(run):
        lines += wrap([Span(label.ljust(LABEL), FAINT, keep=True), *text], width, 2, 2 + LABEL)
    if len(run.sides) == 2:
        before, after = run.sides
        return [*lines, [], *_family_table(before, after), [], *_layer_table(before, after, width, every_layer)]
    (side,) = run.sides
    return [*lines, [], *_single_families(side), [], *_single_layers(side, width, every_layer)]


def _device_verdict(run: DeviceRun) -> list[Piece]:
    wrong = next((side for side in run.sides if not side.variant.plan.is_correct), None)
    if wrong is not None:
        return [
            Span(f"no gain, {safe(wrong.variant.what)} is predicted to give {wrong.variant.plan.outcome.value}", BAD)
        ]
    if run.differing:
        count = len(run.differing)
        return [Span("differs: ", BAD), f"{count} operator{'s' * (count > 1)} did not run as predicted"]
    if run.ratio is None:
        return [Span("ran as predicted", GOOD)]
    told = f"the second is {_times(run.ratio)} as the first"
    return [Span("slower: ", BAD) if run.ratio.is_slower else Span("faster: ", GOOD), told]


def _device_facts(run: DeviceRun) -> Iterator[tuple[str, list[Piece]]]:
    for side, log in zip(run.sides, run.logs, strict=True):
        plan = side.variant.plan
        total = "" if side.microseconds is None else f", {duration(side.microseconds)} a run"
        facts = (
            f"{log.runs} runs" if log.runs else "",
            f"{log.threads} thread{'s' * (log.threads != 1)}" if log.threads and log.threads > 0 else "",
        )
        spmm = sum(operator.family is Family.SPMM for operator in side.operators if operator.microseconds is not None)
        told = ", ".join(filter(None, facts))
        yield "log", [f"{safe(log.path)}{total}, {spmm} SpMM ran{'; ' + told if told else ''}"]
        if differing := [operator for operator in side.operators if not operator.agrees]:
            yield "differs", _differences(differing)
        for hazard in plan.hazards[:1]:
            yield "wrong", [Span(safe(fault_words(hazard.fault)), BAD)]
    yield "planned", [f"for {run.profile.runtime} on {run.profile.cpu}"]
    if run.rates is not None and len(run.sides) == 1:
        is_own = run.rates.measured and run.rates.cpu == run.profile.cpu
        scaled = "" if is_own else f", scaled: not measured on {run.profile.cpu} yet"
        yield "predicted", [f"by rates of {safe(run.rates.cpu_model)}{scaled}"]
    yield (
        "holds for",
        ["that device, with that build of TFLite; times are averages, and include the profiler's own time"],
    )


# --- tables ----------------------------------------------------------------------------------------------------------


def _row(first: str, *numbers: str, style: str = "") -> Line:
    cells = "".join(number.rjust(NUMBERS) for number in numbers)
    return [Span(f"  {first.ljust(FIRST_COLUMN)}{cells}", style)]


def _number(microseconds: float | None) -> str:
    return "-" if microseconds is None else f"{microseconds:.1f}"


def _family_table(before: Side, after: Side) -> Iterator[Line]:
    """Microseconds of each family in both variants, and what they sum up to."""
    yield _row("microseconds in", before.variant.label, after.variant.label, "change", style=FAINT)
    one, other = by_family(before.operators), by_family(after.operators)
    for family in Family:
        if family in one or family in other:
            yield _family_row(family.words, one.get(family), other.get(family))
    if before.microseconds is not None and after.microseconds is not None:
        yield _family_row(
            "outside the operators", before.microseconds - sum(one.values()), after.microseconds - sum(other.values())
        )
        yield _family_row("whole run", before.microseconds, after.microseconds, STRONG)


def _family_row(first: str, before: float | None, after: float | None, style: str = "") -> Line:
    return _row(first, _number(before), _number(after), f"{(after or 0) - (before or 0):+.1f}", style=style)


def _layer_table(before: Side, after: Side, width: int, every_layer: bool) -> Iterator[Line]:
    layers = by_layer(before.operators, after.operators)
    shown = layers if every_layer else sorted(layers, key=lambda layer: -abs(layer.change))[:SHOWN]
    titles = (before.variant.label, after.variant.label, "change")
    yield [Span("".join(title.rjust(NUMBERS - 2) for title in titles) + "  layer", FAINT)]
    for layer in shown:
        numbers = (
            _number(layer.before.microseconds if layer.before else None),
            _number(layer.after.microseconds if layer.after else None),
            f"{layer.change:+.1f}",
        )
        yield _layer_row(numbers, layer.layer, _kernels(layer), width)
    yield from _more(len(layers) - len(shown))


def _layer_row(numbers: Sequence[str], layer: str, kernels: str, width: int) -> Line:
    head = "".join(number.rjust(NUMBERS - 2) for number in numbers) + "  "
    room = max(width - columns(head) - columns(kernels) - 2, 12)
    return [Span(f"{head}{shorten(name(layer) or '?', room)}: {kernels}")]


def _more(count: int) -> Iterator[Line]:
    if count > 0:
        yield [Span(f"  and {count} layers that changed less; --all shows every one", FAINT)]


def _kernels(layer: LayerTimes) -> str:
    before, after = ("" if cell is None else _short_kernels(cell) for cell in (layer.before, layer.after))
    if not before or not after:
        return f"{before} (gone)" if before else f"{after} (new)"
    return before if before == after else f"{before} -> {after}"


def _short_kernels(cell: Cell) -> str:
    return " + ".join(dict.fromkeys(map(short, cell.kernels)))


def short(kernel: str) -> str:
    """An operator's name without layout and types: "SPMM", "GEMM", "Constant Pad"."""
    head, _, tail = kernel.partition(" (")
    own = tail.rpartition(") ")[2] if ") " in tail else ""
    is_weighted = head in ("Convolution", "Deconvolution", "Fully Connected")
    return safe(own.removeprefix("Conv2D ") if is_weighted and own else head)


def _single_families(side: Side) -> Iterator[Line]:
    yield _row("microseconds in", side.variant.label, "of the run", style=FAINT)
    sums = by_family(side.operators)
    total = side.microseconds or sum(sums.values())
    for family in Family:
        if family in sums:
            yield _row(family.words, _number(sums[family]), f"{sums[family] / total:.0%}" if total else "-")
    if side.microseconds is not None:
        yield _row("outside the operators", _number(side.microseconds - sum(sums.values())), "")
        yield _row("whole run", _number(side.microseconds), "", style=STRONG)


def _single_layers(side: Side, width: int, every_layer: bool) -> Iterator[Line]:
    """Operators with what the cost model says beside them."""
    ran = [operator for operator in side.operators if operator.microseconds is not None]
    longest = sorted(ran, key=lambda operator: -(operator.microseconds or 0.0))
    shown = ran if every_layer else longest[:SHOWN]
    with_predictions = any(operator.predicted_microseconds is not None for operator in ran)
    titles = (side.variant.label, *(("predicted",) if with_predictions else ()))
    yield [Span("".join(title.rjust(NUMBERS - 2) for title in titles) + "  layer", FAINT)]
    for operator in shown:
        numbers = [_number(operator.microseconds)]
        if with_predictions:
            numbers.append(_number(operator.predicted_microseconds))
        yield _layer_row(numbers, operator.layer, short(operator.kernel), width)
    if len(ran) > len(shown):
        yield [Span(f"  and {len(ran) - len(shown)} operators that take less; --all shows every one", FAINT)]
