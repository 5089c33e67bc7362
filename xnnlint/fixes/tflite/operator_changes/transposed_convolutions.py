"""Transposed convolutions that upsample, as 1x1 convolutions and DEPTH_TO_SPACE.

Where the kernel is as large as the stride, each pixel of the output comes from one pixel of the input: a 1x1
convolution with the filters of all places in the block computes them, and DEPTH_TO_SPACE puts them there. The 1x1
convolution can run in a sparse cluster, of which DEPTH_TO_SPACE is a legal exit; TRANSPOSE_CONV has no NCHW kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op, Purpose
from xnnlint.fixes.tflite.graph_parts import activation, is_float, weights, zeros
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.windows import mediapipe_options

MEDIAPIPE = "Convolution2DTransposeBias"


class UpsampleByDepthToSpace(OperatorFixer):
    """One filter for each pixel of the block."""

    name = "upsample-by-depth-to-space"
    rivals = ("leave-through-depth-to-space",)
    stage = Stage.CONVOLUTIONS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED})
    exactness = Exactness.ROUNDING
    summary = "transposed convolutions of a kernel as large as the stride -> 1x1 convolution and DEPTH_TO_SPACE"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("TRANSPOSE_CONV", "CUSTOM"):
            if _parts(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, parts = view.graph, _parts(view, op)
        kernel = weights(graph, parts[1]) if parts is not None else None
        if parts is None or kernel is None:
            raise CannotChange("its kernel cannot be read")
        source, _, bias = parts
        block, out, name = kernel.shape[1], op.outputs[0], graph.name(op.outputs[0])
        batch, height, width, _ = graph.shape(source)
        filters = block * block * kernel.shape[0]
        # DEPTH_TO_SPACE takes the place in the block first, then the channel.
        flat = np.ascontiguousarray(kernel.transpose(1, 2, 0, 3).reshape(filters, 1, 1, kernel.shape[3]), np.float32)
        values = weights(graph, bias) if bias >= 0 else None
        if bias >= 0 and values is None:
            raise CannotChange("its bias cannot be read")
        biases = (
            zeros(view, filters, name)
            if values is None
            else graph.add_constant(f"{name}/biases", np.tile(values.astype(np.float32), block * block))
        )
        blocks = graph.add_like(out, "_blocks", (batch, height, width, filters))
        graph.insert(
            "CONV_2D",
            [source, graph.add_constant(f"{name}/blocks", flat, Purpose.UPSAMPLES), biases],
            [blocks],
            near=op,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=1,
            strideW=1,
            fusedActivationFunction=number("ActivationFunctionType", activation(op)),
        )
        graph.insert("DEPTH_TO_SPACE", [blocks], [out], near=op, options="DepthToSpaceOptions", blockSize=block)
        graph.remove(op)
        return f"compute all {block}x{block} pixels of a block by a 1x1 convolution, then DEPTH_TO_SPACE"


def _parts(view: View, op: Op) -> tuple[int, int, int] | None:
    """What such a convolution reads: map, kernel and bias (-1 for none); None for any other operator."""
    graph, planned = view.graph, view.planned(op)
    if op.type == "TRANSPOSE_CONV" and op.options is not None:
        stride = (op.options.strideH, op.options.strideW)
        source, kernel, bias = op.inputs[2], op.inputs[1], op.inputs[3] if len(op.inputs) > 3 else -1
    elif planned is not None and planned.custom_code == MEDIAPIPE and len(op.inputs) == 3:
        options = mediapipe_options(planned)
        stride = (options["stride_h"], options["stride_w"])
        source, kernel, bias = op.inputs
        if options["fused_activation_function"] != "NONE":
            return None
    else:
        return None
    before, after, sides = graph.shape(source), graph.shape(op.outputs[0]), graph.shape(kernel)
    if len(before) != 4 or len(after) != 4 or len(sides) != 4 or any(d < 0 for d in graph.signature(source)[1:]):
        return None
    block = sides[1]
    fits = block > 1 and sides[1:3] == stride == (block, block) and sides[3] == before[3]
    grown = after[1:3] == (before[1] * block, before[2] * block)
    readable = is_float(graph, source, op.outputs[0]) and weights(graph, kernel) is not None
    return (source, kernel, bias) if fits and grown and readable else None


FIXERS: tuple[OperatorFixer, ...] = (UpsampleByDepthToSpace(),)
