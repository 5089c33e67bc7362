"""Zeros for a cluster whose small dense kernels keep it dense: those of squeeze-and-excite, on a map of one pixel.

Copies of one pixel have them (see `short_clusters`). The products with zero are exact for all finite values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.short_clusters import short_clusters
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import is_as_planned
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import select
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition


class ZerosOnOnePixel(OperatorFixer):
    """Copies of one pixel, in front of the convolution that reads the most channels of one."""

    name = "zeros-on-one-pixel"
    stage = Stage.EXIT
    fulfils = frozenset({Condition.ENOUGH_ZEROS})
    summary = "dense 1x1 kernels on one pixel that keep a pruned cluster dense -> with copies of the pixel in front"

    def sites(self, view: View) -> Iterable[Op]:
        if is_as_planned(view):
            yield from (op for op, _ in _short(view))

    def apply(self, view: View, op: Op) -> str:
        copies = next((count for short, count in _short(view) if short is op), 0)
        if not copies:
            raise CannotChange("its cluster has enough zeros")
        source, channels = op.inputs[0], view.graph.shape(op.inputs[0])[3]
        for number in range(copies):
            source = select(view, op, source, list(range(channels)), f"_copy{number}")
        op.inputs[0] = source
        return f"copy the {channels} channels of its pixel with a 1x1 convolution, whose zeros count"


def _short(view: View) -> Iterator[tuple[Op, int]]:
    """Where copies of a pixel make up for what a cluster lacks, and how many."""
    for short in short_clusters(view.plan):
        op = view.op(short.op.index)
        if op is not None:
            yield op, short.copies


FIXERS: tuple[OperatorFixer, ...] = (ZerosOnOnePixel(),)
