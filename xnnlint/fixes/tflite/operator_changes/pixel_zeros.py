"""Zeros for a cluster whose small dense kernels keep it dense: those of squeeze-and-excite, on a map of one pixel.

XNNPACK adds up the zeros of all 1x1 kernels of a cluster, also of those that take no time to speak of (google/XNNPACK
src/subgraph.c `xnn_subgraph_rewrite_for_nchw`). A 1x1 convolution that gives every channel of one pixel to itself has
a one in each row and zeros for the rest. The products with zero are exact for all finite values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import is_as_planned
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import select
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, Cluster, passes_zeros_test
from xnnlint.xnnpack.plan import PartitionPlan

RANK = 4
_MOST_COPIES = 4


class ZerosOnOnePixel(OperatorFixer):
    """Copies of one pixel, in front of the convolution that reads the most channels of one."""

    name = "zeros-on-one-pixel"
    stage = Stage.EXIT
    fulfils = frozenset({Condition.ENOUGH_ZEROS})
    summary = "dense 1x1 kernels on one pixel that keep a pruned cluster dense -> with copies of the pixel in front"

    def sites(self, view: View) -> Iterable[Op]:
        if is_as_planned(view):
            yield from (short.op for short in _short(view))

    def apply(self, view: View, op: Op) -> str:
        short = next((s for s in _short(view) if s.op is op), None)
        if short is None:
            raise CannotChange("its cluster has enough zeros")
        source, channels = op.inputs[0], view.graph.shape(op.inputs[0])[3]
        for number in range(short.copies):
            source = select(view, op, source, list(range(channels)), f"_copy{number}")
        op.inputs[0] = source
        return f"copy the {channels} channels of its pixel with a 1x1 convolution, whose zeros count"


@dataclass(frozen=True)
class _Short:
    """A cluster with too few zeros, for which so many copies of one pixel make up.

    Attributes:
        op: the convolution on one pixel.
    """

    op: Op
    copies: int


def _short(view: View) -> Iterator[_Short]:
    """The clusters that are dense only for what they compute on single pixels."""
    for part in view.plan.partitions:
        for cluster in part.decision.clusters:
            if cluster.broken_by or cluster.enough_zeros:
                continue
            pixels = list(_on_one_pixel(view, part, cluster))
            counts = [_counted(view, op) for op in pixels]
            params, zeros = (cluster.params - sum(c[0] for c in counts), cluster.zeros - sum(c[1] for c in counts))
            if not pixels or not passes_zeros_test(zeros, params):
                continue
            widest = max(pixels, key=lambda op: view.graph.shape(op.inputs[0])[3])
            channels = view.graph.shape(widest.inputs[0])[3]
            gained = DENOMINATOR * (channels - 1) * channels - NUMERATOR * channels**2
            lacking = NUMERATOR * cluster.params - DENOMINATOR * cluster.zeros
            if gained > 0 and (copies := lacking // gained + 1) <= _MOST_COPIES:
                yield _Short(widest, copies)


def _on_one_pixel(view: View, part: PartitionPlan, cluster: Cluster) -> Iterator[Op]:
    for node in (part.nodes[n] for n in cluster.nodes):
        shape = part.subgraph.values[node.inputs[0]].shape
        op = view.op(node.op)
        if op is not None and op.type == "CONV_2D" and len(shape) == RANK and shape[1] * shape[2] == 1:
            yield op


def _counted(view: View, op: Op) -> tuple[int, int]:
    """How many weights an operator has, and how many of them are zero."""
    values = weights(view.graph, op.inputs[1])
    return (0, 0) if values is None else (values.size, int((values == 0).sum()))


FIXERS: tuple[OperatorFixer, ...] = (ZerosOnOnePixel(),)
