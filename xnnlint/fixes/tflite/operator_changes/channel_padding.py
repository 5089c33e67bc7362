"""Padding of channels, as residual blocks have it that grow, as a 1x1 convolution of zeros and ones.

PAD has no NCHW kernel, and XNNPACK folds it only into a convolution behind it, and only where it pads no channels
(google/XNNPACK src/subgraph.c `xnn_subgraph_fusion`). The products with zero are exact for all finite values.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_float, is_map
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import selecting_convolution
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

CHANNELS = 3


class PadByConvolution(OperatorFixer):
    """Each channel in its place, and channels of zeros."""

    name = "pad-channels-by-convolution"
    stage = Stage.CHANNELS
    fulfils = frozenset({Condition.NCHW_KERNEL})
    summary = "PAD of channels -> 1x1 convolution of zeros and ones"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("PAD"):
            source, target = op.inputs[0], op.outputs[0]
            if is_float(graph, source, target) and is_map(graph, source) and is_map(graph, target):
                before, after = graph.shape(source), graph.shape(target)
                # In front of a stem there is nothing yet that runs in NCHW.
                if before[CHANNELS] != after[CHANNELS] and source not in graph.inputs and before[1] * before[2] > 1:
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        amounts = graph.constant(op.inputs[1])
        if amounts is None:
            raise CannotChange("its paddings are computed")
        if amounts[:CHANNELS].any():
            raise CannotChange("it pads height or width as well")
        before, after = (int(a) for a in amounts[CHANNELS])
        kept = list(range(graph.shape(op.inputs[0])[CHANNELS]))
        rows: list[int | None] = [None] * before + kept + [None] * after
        selecting_convolution(view, op, op.inputs[0], op.outputs[0], rows)
        graph.remove(op)
        return "pad its channels with a 1x1 convolution of zeros and ones"


FIXERS: tuple[OperatorFixer, ...] = (PadByConvolution(),)
