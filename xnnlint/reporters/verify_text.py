"""A verification for a person: whether prediction and run agree, how right the outputs are, and every operator."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xnnlint.linter.fault_words import fault_words
from xnnlint.reporters.finding_words import hazard_place, subgraph_name
from xnnlint.reporters.styled_lines import (
    BAD,
    FAINT,
    GOOD,
    PLAIN,
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
from xnnlint.runtime.broken import Broken
from xnnlint.runtime.observation import WRONG_ABOVE, is_spmm
from xnnlint.runtime.verify import (
    OPERATORS,
    OUTCOME,
    PARTITIONS,
    TFLITE_OPERATORS,
    Ran,
    Row,
    Setting,
    Verdict,
    Verification,
    partitions_of,
)
from xnnlint.xnnpack.plan import running

if TYPE_CHECKING:
    from xnnlint.runtime.observation import Observation, OutputError, Unit
    from xnnlint.xnnpack.plan import Plan

LABEL = 11  # columns of "operators  " and the like
REFERENCES = {
    "kernels": "LiteRT's reference kernels",
    "optimized-kernels": "LiteRT's optimized kernels, without a delegate (the reference kernels cannot, or are wrong)",
    "xnnpack-avx": "dense XNNPACK (LiteRT's own kernels cannot run it)",
}
_DIFFERS = {
    OUTCOME: "the outcome",
    OPERATORS: "XNNPACK's operators",
    PARTITIONS: "the partitions",
    TFLITE_OPERATORS: "the operators that TFLite runs",
}
_BROKEN = {
    Broken.OWN_KERNELS_ERR: "LiteRT's kernels without a delegate give wrong numbers, too",
    Broken.OWN_KERNELS_DIE: "in LiteRT's kernels without a delegate the process dies, too",
    Broken.OWN_KERNELS_REFUSE: "LiteRT's kernels without a delegate refuse it, too",
    Broken.NOTHING_FINITE: "every kernel gives nothing but NaN or infinite numbers",
    Broken.NOTHING_RUNS: "no kernel of LiteRT runs it, with or without a delegate",
}
_RIGHT = ("sparse", "dense")
_OUTCOMES = (*_RIGHT, "wrong-results", "fails")
_VERDICTS = ("agree", "differ", "broken", "not judged")


def verification_lines(found: Verification, setting: Setting, width: int, *, for_pipe: bool = False) -> list[Line]:
    """Everything about one model that could be read: the verdict first.

    Args:
        width: columns to wrap at.
        for_pipe: keep the verdict in one line and every name whole, whatever the width: programs read them.
    """
    lines = verdict_lines(found.verdict, setting, width, for_pipe=for_pipe)
    for label, text in _facts(found, setting):
        lines += _row(label, text, width)
    for subgraph in dict.fromkeys(row.subgraph for row in found.rows):
        rows = tuple(row for row in found.rows if row.subgraph == subgraph)
        lines += [[], *_heading(found.plan, rows[0], width), *_table(rows, None if for_pipe else width)]
    return lines + (_legend(found.rows) if found.rows else [])


def verdict_lines(found: Verdict, setting: Setting, width: int, *, for_pipe: bool = False) -> list[Line]:
    """The verdict alone; arguments as of `verification_lines`."""
    return _verdict(found, setting, None if for_pipe else width)


class VerificationTally:
    """Counts over all models of a run, kept while the models themselves are let go of."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    def add(self, found: Verdict) -> None:
        verdict = {True: "agree", False: "differ", None: "not judged"}[found.agrees]
        self.verdicts["broken" if found.broken is not None and not found.differs else verdict] += 1
        if found.observed is not None:
            self.outcomes[found.observed] += 1

    @property
    def count(self) -> int:
        return self.verdicts.total()

    def text(self) -> str:
        count = self.count
        if count == 1:
            (verdict,) = self.verdicts
            word = {"agree": "agrees", "differ": "differs"}.get(verdict, verdict)
            return f"{word}{': ' + outcome if (outcome := next(iter(self.outcomes), '')) else ''}."
        verdicts, outcomes = _counts(self.verdicts, _VERDICTS), _counts(self.outcomes, _OUTCOMES)
        return f"{count:,} models: {verdicts or 'nothing to do'}{'; observed: ' + outcomes if outcomes else ''}."


# --- the verdict -----------------------------------------------------------------------------------------------------


def _verdict(found: Verdict, setting: Setting, width: int | None) -> list[Line]:
    path = Span(safe(found.path) + ":", STRONG, keep=True)
    judgement = _judgement(found)
    target = Span(f"({_runtime(setting)})", FAINT, keep=True)
    whole: list[Piece] = [path, " ", *judgement, "  ", target]
    # Where it does not fit into one line, break between its parts rather than within one.
    size = sum(columns(piece.text if isinstance(piece, Span) else piece) for piece in whole)
    if width is None or size <= width:
        return wrap(whole, None)
    if size - columns(target.text) - 2 <= width:
        return [*wrap(whole[:-2], None), *wrap([target], None, 2)]
    return [*wrap([path], None), *wrap([*judgement, "  ", target], width, 2)]


def _judgement(found: Verdict) -> list[Piece]:
    observed, predicted = found.observed, found.predicted
    if found.broken is not None and not found.differs:
        said = f"{predicted}, as predicted" if found.agrees else f"predicted {predicted}"
        return [Span("broken:", BAD), f" {said}"]
    if found.agrees is None:
        return [Span("not judged:", STRONG), f" predicted {predicted}"]
    style = GOOD if observed in _RIGHT else BAD
    if found.agrees:
        return [Span("agrees:", GOOD), " ", Span(f"{observed}", style)]
    differs = Span("differs:", BAD)
    if OUTCOME in found.differs:
        return [differs, f" predicted {predicted}, observed ", Span(f"{observed}", style)]
    parts = _listed([_DIFFERS[part] for part in found.differs])
    as_predicted: list[Piece] = [" (", Span(observed, style), ", as predicted)"] if observed else []
    return [differs, f" in {parts}", *as_predicted]


def _runtime(setting: Setting) -> str:
    return f"LiteRT {setting.target.release.version} on {setting.target.cpu}"


# --- facts -----------------------------------------------------------------------------------------------------------


def _facts(found: Verification, setting: Setting) -> Iterator[tuple[str, list[Piece]]]:
    """Label and text of each paragraph below the verdict."""
    plan, seen = found.plan, found.observation
    if plan is None or seen is None:
        return
    yield "run", [f"{seen.place}; predicted for {setting.profile.runtime}"]
    if setting.note:
        yield "note", [safe(setting.note)]
    if plan.hazards:
        yield "plan", [_breakage(plan)]
    yield from _operators(found, plan, seen)
    if found.broken is not None:
        yield "broken", [Span(_BROKEN[found.broken], BAD)]
    if seen.status != "ran":
        yield "runtime", [Span(safe(seen.error or seen.status), BAD)]
    elif found.agrees is None:
        yield "no outcome", [safe(seen.undecided or "")]
    yield from _results(seen, setting)


def _breakage(plan: Plan) -> str:
    """Where the plan says that the model goes wrong."""
    hazard = plan.hazards[0]
    more = len({h.op for h in plan.hazards}) - 1
    where = hazard_place(plan, hazard)
    also = f" and {_counted(more, 'other place')}" if more else ""
    verb = "fails" if plan.outcome.value == "fails" else "breaks"
    return f"{verb} at {where}{also}: {safe(fault_words(hazard.fault))}"


def _operators(found: Verification, plan: Plan, seen: Observation) -> Iterator[tuple[str, list[Piece]]]:
    """How many operators ran where; once where prediction and run have the same numbers."""
    parts = sum(len({kernel.partition for kernel in part.operators}) for part in running(plan))
    kernels = [kernel.kernel for part in running(plan) for kernel in part.operators]
    predicted = _census(kernels, parts, sum(len(part.tflite_ops) for part in running(plan)))
    if seen.kernels is None:
        # Of a plan that fails before anything runs there is nothing to show.
        if kernels or plan.tflite_ops:
            yield "operators", [f"{predicted}, as predicted; the run did not report its own"]
        return
    ran: list[Ran] = [seen, *(seen.called or ())]
    partitions = sum(len(set(partitions_of(run.kernel_indices or ()))) for run in ran)
    observed = _census(
        [kernel for run in ran for kernel in run.kernels or ()],
        partitions,
        sum(len(run.tflite_ops or ()) for run in ran),
    )
    if set(found.differs) <= {OUTCOME}:
        yield "operators", [f"{observed}; all as predicted"]
    else:
        yield "predicted", [predicted]
        yield "observed", [observed]


def _census(kernels: Sequence[str], partitions: int, tflite: int) -> str:
    spmm = sum(map(is_spmm, kernels))
    places = f" in {_counted(partitions, 'partition')}" if kernels else ""
    runs = "runs" if spmm == 1 else "run"
    return f"{len(kernels)}{places}, {spmm or 'none'} {runs} SpMM, {tflite or 'none'} left to TFLite"


def _results(seen: Observation, setting: Setting) -> Iterator[tuple[str, list[Piece]]]:
    """Every output's error against the dense reference."""
    if seen.reference is None:
        return
    if not seen.outputs:
        yield "reference", [f"{REFERENCES[seen.reference]}; there it runs"]
        return
    count = len(setting.seeds)
    inputs = f"the largest errors of {count} random inputs" if count > 1 else "1 random input"
    yield "reference", [f"{REFERENCES[seen.reference]}; {inputs}"]
    label = "output" if len(seen.outputs) == 1 else "outputs"
    for output in seen.outputs:
        yield label, _output(output)
        label = ""


def _output(output: OutputError) -> list[Piece]:
    line: list[Piece] = [Span(name(output.name), keep=True), " ", _shape(output.shape), ": "]
    relative, absolute = output.max_rel_error, output.max_abs_error
    if relative is None or absolute is None:
        return [*line, Span("nothing to compare, no element is finite", BAD)]
    if math.isinf(relative):
        line += [
            Span("wrong", BAD),
            ": NaN or infinite elements, or their number, are not those of the reference",
        ]
    else:
        verdict = Span("wrong", BAD) if output.wrong else Span("correct", GOOD)
        line += [verdict, f", relative error {_number(relative)}, absolute {_number(absolute)}"]
    if output.unit is not None and output.nearest is not None and output.spread is not None:
        line.append(_among_others(output.unit, output.nearest, output.spread))
    elif not output.wrong and relative > WRONG_ABOVE and output.rounding is not None:
        line.append(f"; dense XNNPACK differs as much by rounding, {_number(output.rounding)}")
    if output.nonfinite:
        line.append(f"; {_counted(output.nonfinite, 'element')} NaN or infinite")
    if output.shape_differs and output.reference_shape is not None:
        same = "" if output.wrong else ", the elements agree"
        line += ["; ", Span("the reported shape is wrong", STRONG), ": it is ", _shape(output.reference_shape), same]
    return line


def _among_others(unit: Unit, nearest: float, spread: float) -> str:
    """How far a quantized model's output is from what others make of it, and they from each other."""
    nearest_text, spread_text = (_in_unit(unit, number) for number in (nearest, spread))
    others = "LiteRT's own kernels and a float evaluation"
    return f"; {nearest_text} from the nearest of {others}, which lie up to {spread_text} apart"


def _in_unit(unit: Unit, number: float) -> str:
    if unit == "step":
        return f"{number:.1f} steps"
    return f"{100 * number:.2g}% of the elements" if unit == "share" else _number(number)


def _shape(sizes: tuple[int, ...]) -> Span:
    return Span(f"[{', '.join(map(str, sizes))}]", keep=True)


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _row(label: str, text: list[Piece], width: int) -> list[Line]:
    return wrap([Span(label.ljust(LABEL), FAINT, keep=True), *text], width, 2, 2 + LABEL)


# --- the table -------------------------------------------------------------------------------------------------------


def _heading(plan: Plan | None, row: Row, width: int) -> list[Line]:
    """Over the operators of a subgraph that others call."""
    if row.subgraph is None or plan is None:
        return []
    times = "" if row.times is None else f", ran {'once' if row.times == 1 else f'{row.times} times'}"
    return wrap([Span(f"{subgraph_name(plan, row.subgraph)}{times}", STRONG)], width)


def _table(rows: tuple[Row, ...], width: int | None) -> Iterator[Line]:
    """Operators in the order in which they run, as a diff: what was predicted and not observed has a minus, what was
    observed and not predicted a plus."""
    cells: list[tuple[str, ...]] = [("", "", "op", "part", "kernel", "layer")]
    styles = [FAINT]
    for row in rows:
        for sign, kernel, partition in _sides(row):
            op = "" if row.op is None or sign == "+" else str(row.op)
            called = "" if sign == "+" else name(row.name)
            part = "-" if row.tflite else str(partition)
            shown = f"(TFLite) {safe(kernel)}" if row.tflite else safe(kernel)
            spmm = not row.tflite and is_spmm(kernel)
            cells.append((sign, "*" if spmm else "", op, part, shown, called))
            styles.append(BAD if sign else GOOD if spmm else PLAIN)
    sizes = [max(columns(row[i]) for row in cells) for i in range(5)]
    for row_cells, style in zip(cells, styles, strict=True):
        sign, mark, op, part, kernel, called = row_cells
        text = f"{sign.ljust(1)}{mark.ljust(1)} {op.rjust(sizes[2])} {part.rjust(sizes[3])} "
        text += kernel + " " * (sizes[4] - columns(kernel) + 1)
        shown = called if width is None else shorten(called, max(width - columns(text), 12))
        yield [Span(text + shown, style)]


def _legend(rows: tuple[Row, ...]) -> list[Line]:
    lines: list[Line] = [
        [],
        [Span("* runs SpMM; part: delegate partition, - for an operator that TFLite runs itself", FAINT)],
    ]
    if any(not row.agrees for row in rows):
        lines.append([Span("- predicted, and did not run; + ran, and was not predicted", FAINT)])
    return lines


def _sides(row: Row) -> Iterator[tuple[str, str, int | None]]:
    """Sign, kernel and partition of each line that a row takes."""
    if row.agrees and row.observed is not None:
        yield "", row.observed, row.observed_partition
        return
    if row.predicted is not None:
        yield "-", row.predicted, row.predicted_partition
    if row.observed is not None:
        yield "+", row.observed, row.observed_partition


# --- words -----------------------------------------------------------------------------------------------------------


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _counts(counts: Counter[str], order: Sequence[str]) -> str:
    return ", ".join(f"{counts[word]:,} {word}" for word in order if counts[word])


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
