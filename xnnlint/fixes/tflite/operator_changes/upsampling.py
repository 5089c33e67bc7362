"""Nearest-neighbour upsampling by two, which the delegate does not take, out of operators that run in NCHW.

Bilinear resizing by two without half-pixel centres has the input's pixels at the even places, exactly
(`ComputeInterpolationValues` in google-ai-edge/LiteRT tflite/kernels/internal/reference/resize_bilinear.h). The others
are multiplied by zero, and a depthwise convolution of ones copies each pixel that is left to its three neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import insert_depthwise, is_float, is_map
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

SCALE = 2
_BILINEAR_VERSION = 3


class NearestInSteps(OperatorFixer):
    """RESIZE_BILINEAR, two MULs with zeros and ones, and a depthwise convolution of ones."""

    name = "nearest-in-steps"
    rivals = ("upsampling-bilinear",)
    stage = Stage.CONVOLUTIONS
    fulfils = frozenset({Condition.DELEGATED, Condition.NCHW_KERNEL})
    summary = "RESIZE_NEAREST_NEIGHBOR by 2 -> RESIZE_BILINEAR, every second pixel of it, and a depthwise copy"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("RESIZE_NEAREST_NEIGHBOR"):
            source, target = op.inputs[0], op.outputs[0]
            if is_float(graph, source, target) and is_map(graph, source) and op.options is not None:
                before, after = graph.shape(source), graph.shape(target)
                doubled = all(SCALE * b == a and b > 1 for b, a in zip(before[1:3], after[1:3], strict=True))
                static = all(d > 0 for d in graph.signature(source)[1:])
                if doubled and static and not op.options.alignCorners:
                    yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        out, name = op.outputs[0], graph.name(op.outputs[0])
        channels = graph.shape(out)[3]
        value = graph.add_like(out, "_bilinear")
        graph.insert(
            "RESIZE_BILINEAR",
            [op.inputs[0], op.inputs[1]],
            [value],
            near=op,
            options="ResizeBilinearOptions",
            version=_BILINEAR_VERSION,
            alignCorners=False,
            halfPixelCenters=False,
        )
        for axis in (1, 2):
            shape = [1, 1, 1, 1]
            shape[axis] = graph.shape(out)[axis]
            even = (np.arange(shape[axis]) % SCALE == 0).astype(np.float32).reshape(shape)
            kept = graph.add_like(out, f"_even{axis}")
            graph.insert(
                "MUL", [graph.add_constant(f"{name}/even{axis}", even), value], [kept], near=op, options="MulOptions"
            )
            value = kept
        copies = np.zeros((1, 3, 3, channels), np.float32)
        copies[:, :2, :2] = 1
        insert_depthwise(view, op, value, out, copies, label="copies")
        graph.remove(op)
        return "resize bilinearly, keep every second pixel, and copy it to its neighbours with a depthwise convolution"


FIXERS: tuple[OperatorFixer, ...] = (NearestInSteps(),)
