"""The plan as a table: every operator, who runs it, and with which kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xnnlint.reporters.styled_lines import FAINT, GOOD, PLAIN, Line, Span, columns, name, safe, shorten

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Kernel, Plan


def plan_table(plan: Plan, width: int | None) -> Iterator[Line]:
    """Every operator in the order in which it runs: those that XNNPACK takes, and those that TFLite runs itself.

    Args:
        width: columns that a row may take; None to never shorten a name.
    """
    rows = [("", "op", "part", "layout", "kernel", "type", "name")]
    styles = [FAINT]
    for mark, op, part, layout, kernel, kind, called in _plan_rows(plan):
        rows.append((mark, str(op), part, layout, kernel, kind, called))
        styles.append(GOOD if mark else PLAIN)
    sizes = [max(columns(row[i]) for row in rows) for i in range(6)]
    for row, style in zip(rows, styles, strict=True):
        cells = [row[0].ljust(1), row[1].rjust(sizes[1])]
        cells += [cell + " " * (size - columns(cell)) for cell, size in zip(row[2:6], sizes[2:6], strict=True)]
        text = " ".join(cells) + " "
        called = row[6] if width is None else shorten(row[6], max(width - columns(text), 12))
        yield [Span(text + called, style)]
    yield []
    yield [Span("* runs SpMM; part: delegate partition, - for an operator that TFLite runs itself", FAINT)]


def _plan_rows(plan: Plan) -> Iterator[tuple[str, int, str, str, str, str, str]]:
    """XNNPACK operators in their order, each TFLite operator before the first XNNPACK operator of a later index."""
    rest = sorted(plan.tflite_ops)
    for kernel in plan.operators:
        while rest and rest[0] < kernel.op:
            yield _tflite_row(plan, rest.pop(0))
        yield _kernel_row(kernel)
    for op in rest:
        yield _tflite_row(plan, op)


def _kernel_row(kernel: Kernel) -> tuple[str, int, str, str, str, str, str]:
    mark = "*" if kernel.is_spmm else ""
    layout = "NCHW" if kernel.nchw else "NHWC"
    return mark, kernel.op, str(kernel.partition), layout, safe(kernel.kernel), safe(kernel.type), name(kernel.name)


def _tflite_row(plan: Plan, op: int) -> tuple[str, int, str, str, str, str, str]:
    operator = plan.graph.operators[op]
    return "", op, "-", "-", "(TFLite)", safe(operator.custom_code or operator.type), name(operator.name)
