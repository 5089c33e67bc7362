"""A convolution of one input channel, which some exporters write as a depthwise one with a multiplier.

Of one channel both are the same sums in the same order; only the kernel lies in another order, [1, height, width,
filters] instead of [filters, height, width, 1]. As CONV_2D of stride 2 it can become the entry of a sparse cluster.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_float, write_as
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.stem import STRIDE


class ConvolveOneChannel(OperatorFixer):
    """The same kernel, as that of an ordinary convolution."""

    name = "convolve-one-channel"
    rivals = ("multiply-channels-first",)
    stage = Stage.CONVOLUTIONS
    fulfils = frozenset({Condition.DEPTHWISE})
    summary = "depthwise convolution of one channel with a multiplier and stride 2 -> CONV_2D"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("DEPTHWISE_CONV_2D"):
            if len(op.inputs) == 3 and op.options is not None and is_float(graph, op.inputs[0], op.outputs[0]):
                stride = (op.options.strideH, op.options.strideW)
                if stride == STRIDE and graph.shape(op.inputs[0])[3] == 1 < graph.shape(op.outputs[0])[3]:
                    yield op

    def apply(self, view: View, op: Op) -> str:
        filters = view.graph.shape(op.inputs[1])[3]
        write_as(view, op, "CONV_2D", "filters")
        return f"write it as an ordinary convolution of one channel and {filters} filters"


FIXERS: tuple[OperatorFixer, ...] = (ConvolveOneChannel(),)
