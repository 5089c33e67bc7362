"""The plan as a table: every operator, who runs it, and with which kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from xnnlint.reporters.finding_words import subgraph_name
from xnnlint.reporters.styled_lines import FAINT, GOOD, PLAIN, STRONG, Line, Span, columns, name, safe, shorten
from xnnlint.reporters.value_words import not_measured

if TYPE_CHECKING:
    from xnnlint.cost import OperatorCost, Prediction
    from xnnlint.xnnpack.plan import Kernel, Plan

# What is left out first where there is no room; columns that a name gets before that, and at least.
_SPARE = ("layout", "type")
_NAME, _SHORTEST_NAME = 24, 12


def plan_table(plan: Plan, width: int | None, prediction: Prediction | None = None) -> Iterator[Line]:
    """Every operator in the order in which it runs: those that XNNPACK takes, and those that TFLite runs itself; then
    those of each subgraph that others call.

    Args:
        width: columns that a row may take: the columns that a kernel's name says, too, are left out where there is no
            room for them, and names are shortened. None to show everything as it is.
        prediction: their times, which get a column.
    """
    yield from _table(list(_plan_rows(plan, prediction)), width, timed=prediction is not None)
    for called in plan.called:
        yield []
        yield [Span(f"{subgraph_name(plan, called.subgraph)}", STRONG)]
        yield from _table(list(_plan_rows(called.plan, None)), width, timed=False)
    yield []
    yield [Span("* runs SpMM; part: delegate partition, - for an operator that TFLite runs itself", FAINT)]
    if prediction is not None:
        note = not_measured(prediction)
        guess = "; ~ a guess" if any(cost.is_guess for cost in prediction.operators) else ""
        yield [Span(f"us: predicted microseconds{f', {note}' if note else ''}{guess}", FAINT)]


def _table(operators: list[_Row], width: int | None, *, timed: bool) -> Iterator[Line]:
    rows = [_Row("", "op", "part", "layout", "us", "kernel", "type", "name"), *operators]
    styles = [FAINT, *(GOOD if row.mark else PLAIN for row in rows[1:])]
    sizes = {field: max(columns(row[i]) for row in rows) for i, field in enumerate(_Row._fields)}
    shown = [field for field in _Row._fields[:-1] if timed or field != "us"]
    for field in _SPARE:
        if width is not None and sum(sizes[one] + 1 for one in shown) + min(sizes["name"], _NAME) > width:
            shown.remove(field)
    for row, style in zip(rows, styles, strict=True):
        text = "".join(_cell(getattr(row, field), sizes[field], right=field in ("op", "us")) for field in shown)
        called = row.name if width is None else shorten(row.name, max(width - columns(text), _SHORTEST_NAME))
        yield [Span(text + called, style)]


def _cell(text: str, size: int, *, right: bool) -> str:
    gap = " " * (size - columns(text))
    return (gap + text if right else text + gap) + " "


class _Row(NamedTuple):
    mark: str
    op: str
    part: str
    layout: str
    us: str
    kernel: str
    type: str
    name: str


def _plan_rows(plan: Plan, prediction: Prediction | None) -> Iterator[_Row]:
    """XNNPACK operators in their order, each TFLite operator before the first XNNPACK operator of a later index."""
    count = len(plan.operators)
    times = [""] * (count + len(plan.tflite_ops)) if prediction is None else list(map(_us, prediction.operators))
    rest = sorted(zip(plan.tflite_ops, times[count:], strict=True))
    for kernel, us in zip(plan.operators, times[:count], strict=True):
        while rest and rest[0][0] < kernel.op:
            yield _tflite_row(plan, *rest.pop(0))
        yield _kernel_row(kernel, us)
    for op, us in rest:
        yield _tflite_row(plan, op, us)


def _us(cost: OperatorCost) -> str:
    return f"{'~' if cost.is_guess else ''}{cost.microseconds:.1f}"


def _kernel_row(kernel: Kernel, us: str) -> _Row:
    mark = "*" if kernel.is_spmm else ""
    layout = "NCHW" if kernel.nchw else "NHWC"
    part = str(kernel.partition)
    return _Row(mark, str(kernel.op), part, layout, us, safe(kernel.kernel), safe(kernel.type), name(kernel.name))


def _tflite_row(plan: Plan, op: int, us: str) -> _Row:
    operator = plan.graph.operators[op]
    kind = safe(operator.custom_code or operator.type)
    return _Row("", str(op), "-", "-", us, "(TFLite)", kind, name(operator.name))
