"""Changes after which a model computes something else, and has to be trained again."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import add_pad, is_float, is_map, is_same
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_changes.depthwise_taps import pad_in_front
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.depthwise import PADDING_OF_KERNEL

STRIDE = (2, 2)
HEIGHT, WIDTH = 1, 2
# Operators on a map without an NCHW kernel in some runtime, and the closest that has one in all of them.
CLOSEST = {"SOFTMAX": "LOGISTIC", "LOG_SOFTMAX": "RELU", "EXP": "ELU", "GELU": "HARD_SWISH", "TANH": "RELU_N1_TO_1"}
_OPTIONS = {"HARD_SWISH": "HardSwishOptions"}


class _Unsafe(OperatorFixer):
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT


class PadAllSides(_Unsafe):
    """For what the safe fixes leave, or with these ignored: they keep the results and take more operators."""

    name = "padding-on-all-sides"
    stage = Stage.UNSAFE
    fulfils = frozenset({Condition.STEM, Condition.DEPTHWISE})
    summary = "convolutions of stride 2 padded less at the top and left -> padded alike on all sides"
    effect = "every output pixel sees its input one pixel further up and left"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("CONV_2D", "DEPTHWISE_CONV_2D"):
            options = op.options
            if options is None or len(op.inputs) < 3 or (options.strideH, options.strideW) != STRIDE:
                continue
            _, height, width, _ = graph.shape(op.inputs[1])
            plain = options.dilationHFactor == options.dilationWFactor == 1 and height == width
            entry = op.type == "CONV_2D" and height == 3 and graph.shape(op.inputs[1])[3] == 3
            depthwise = op.type == "DEPTHWISE_CONV_2D" and height in PADDING_OF_KERNEL
            if plain and (entry or depthwise) and is_float(graph, op.inputs[0], op.outputs[0]) and _is_uneven(view, op):
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        side = graph.shape(op.inputs[1])[HEIGHT] // 2
        pad = pad_in_front(view, op)
        source = op.inputs[0] if pad is None else pad.inputs[0]
        outputs = graph.shape(op.outputs[0])[HEIGHT : WIDTH + 1]
        if any(-(-size // 2) != out for size, out in zip(graph.shape(source)[1:3], outputs, strict=True)):
            raise CannotChange("its output would have another size")
        if pad is not None:
            op.inputs[0] = source
            graph.remove_if_unread(pad)
        op.options.padding = number("Padding", "VALID")
        add_pad(view, op, ((0, 0), (side, side), (side, side), (0, 0)))
        return f"pad {side} on every side in front of it, and nothing in it"


class AverageInstead(_Unsafe):
    """Maxima that `maximum-in-steps` leaves, over more pixels than a handful."""

    name = "average-instead-of-maximum"
    stage = Stage.UNSAFE
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED})
    summary = "MAX_POOL_2D -> AVERAGE_POOL_2D of the same window and stride, which a depthwise convolution computes"
    effect = "it averages its window, where it took the largest"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MAX_POOL_2D"):
            if op.options is not None and is_float(view.graph, op.inputs[0], op.outputs[0]):
                yield op

    def apply(self, view: View, op: Op) -> str:
        fields = {key: value for key, value in vars(op.options).items() if not key.startswith("_")}
        view.graph.retype(op, "AVERAGE_POOL_2D", options="Pool2DOptions", **fields)
        return "average over the window"


class BilinearResizing(_Unsafe):
    """XNNPACK knows no nearest-neighbour resizing."""

    name = "upsampling-bilinear"
    stage = Stage.UNSAFE
    fulfils = frozenset({Condition.DELEGATED, Condition.NCHW_KERNEL})
    summary = "RESIZE_NEAREST_NEIGHBOR -> RESIZE_BILINEAR"
    effect = "pixels are interpolated, where nearest resizing took over others"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("RESIZE_NEAREST_NEIGHBOR"):
            if is_float(view.graph, op.inputs[0], op.outputs[0]):
                yield op

    def apply(self, view: View, op: Op) -> str:
        options = op.options
        view.graph.retype(
            op,
            "RESIZE_BILINEAR",
            options="ResizeBilinearOptions",
            version=3,
            alignCorners=options.alignCorners,
            halfPixelCenters=options.halfPixelCenters,
        )
        return "resize bilinearly"


class ClosestActivation(_Unsafe):
    """An activation on a map that has no NCHW kernel."""

    name = "activation-closest"
    stage = Stage.UNSAFE
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.UNARY_OPERATOR, Condition.DELEGATED})
    summary = "activations of maps without an NCHW kernel -> the closest that has one"
    effect = "it is another function"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type(*CLOSEST):
            shape = graph.shape(op.inputs[0])
            if is_float(graph, op.inputs[0], op.outputs[0]) and is_map(graph, op.inputs[0]) and shape[1] * shape[2] > 1:
                yield op

    def apply(self, view: View, op: Op) -> str:
        was, instead = op.type, CLOSEST[op.type]
        view.graph.retype(op, instead, options=_OPTIONS.get(instead, ""))
        return f"use {instead} instead of {was}"


class DequantizeWeights(_Unsafe):
    """int8 weights of a float convolution make the runtime round the activations to 8 bits as well, and never run
    sparse; behind a DEQUANTIZE they are fp32 weights (google-ai-edge/LiteRT tflite/delegates/xnnpack/
    xnnpack_delegate.cc `PrepareOpsToDelegate` unpacks both)."""

    name = "dequantize-weights"
    stage = Stage.UNSAFE
    fulfils = frozenset({Condition.FLOAT_VALUES, Condition.STORED_SPARSE, Condition.DELEGATED})
    summary = "1x1 convolutions with int8 weights (dynamic range) -> DEQUANTIZE in front of the weights"
    effect = "activations are no longer rounded to 8 bits, which as a rule is more exact"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("CONV_2D"):
            if (
                len(op.inputs) == 3
                and is_float(graph, op.inputs[0], op.outputs[0])
                and graph.dtype(op.inputs[1]) == "INT8"
                and graph.shape(op.inputs[1])[1:3] == (1, 1)
            ):
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph, weights = view.graph, op.inputs[1]
        if graph.consumers(weights) != [op]:
            raise CannotChange("another operator reads its weights, too")
        unpacked = graph.add_tensor(f"{graph.name(weights)}_fp32", graph.shape(weights))
        graph.insert(
            "DEQUANTIZE", [weights], [unpacked], near=op, options="DequantizeOptions", version=_version(view, op)
        )
        op.inputs[1] = unpacked
        return "unpack its int8 weights to fp32 with DEQUANTIZE"


def _version(view: View, op: Op) -> int:
    """DEQUANTIZE knows int8 since version 2, and scales per channel since version 5 (google-ai-edge/LiteRT
    tflite/tools/versioning/op_version.cc)."""
    quantization = view.graph.tensors[op.inputs[1]].quantization
    scales = quantization.scale if quantization is not None and quantization.scale is not None else ()
    return 5 if len(scales) > 1 else 2


def _is_uneven(view: View, op: Op) -> bool:
    pad = pad_in_front(view, op)
    if is_same(op):
        return True
    amounts = view.graph.constant(pad.inputs[1]) if pad is not None else None
    side = view.graph.shape(op.inputs[1])[HEIGHT] // 2
    return amounts is not None and amounts[1:3].tolist() == [[side - 1, side]] * 2


FIXERS: tuple[OperatorFixer, ...] = (
    PadAllSides(),
    AverageInstead(),
    BilinearResizing(),
    ClosestActivation(),
    DequantizeWeights(),
)
