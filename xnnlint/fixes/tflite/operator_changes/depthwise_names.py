"""A convolution in as many groups as channels is a depthwise one, and XNNPACK has NCHW kernels for these.

onnx2tf writes the depthwise convolutions of one-dimensional networks so, and Keras `Conv2D(groups=channels)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_float, write_as
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition


class DepthwiseByName(OperatorFixer):
    """The same kernel, as that of a depthwise convolution."""

    name = "depthwise-by-name"
    stage = Stage.CONVOLUTIONS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.POINTWISE})
    summary = "CONV_2D in as many groups as there are channels -> DEPTHWISE_CONV_2D"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("CONV_2D"):
            if len(op.inputs) != 3 or op.options is None or not is_float(graph, op.inputs[0], op.outputs[0]):
                continue
            kernel, channels = graph.shape(op.inputs[1]), graph.shape(op.inputs[0])[3]
            if len(kernel) == 4 and kernel[3] == 1 < channels and kernel[0] % channels == 0:
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        channels = graph.shape(op.inputs[0])[3]
        write_as(view, op, "DEPTHWISE_CONV_2D", "depthwise", depthMultiplier=graph.shape(op.inputs[1])[0] // channels)
        return f"write its {channels} groups of one channel as a depthwise convolution"


FIXERS: tuple[OperatorFixer, ...] = (DepthwiseByName(),)
