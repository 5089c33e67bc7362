"""Poolings of small windows, for which XNNPACK has no NCHW kernel, as operators that it has one for.

An average is a depthwise convolution with equal taps. A maximum is taken in pairs, max(a, b) = a + relu(b - a), where a
depthwise convolution picks a pixel of each window, or the difference of two. Depthwise convolutions, ADD, NEG and RELU
all run in NCHW (google/XNNPACK src/subgraph.c `xnn_check_nchw_compatibility`); the fix `zero-taps` gives them a kernel
size and padding that does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    insert_depthwise,
    is_float,
    is_never_negative,
    is_same,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import name_of, number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import same_padding, square_strides
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    import numpy as np

# Of 3x3 a maximum takes 25 operators: whether these pay, the search says. Of more they never do.
MOST_PIXELS = 9
RANK = 4


class AverageByDepthwise(OperatorFixer):
    """The sum of equal parts."""

    name = "average-by-depthwise"
    stage = Stage.POOLINGS
    fulfils = frozenset({Condition.NCHW_KERNEL})
    exactness = Exactness.ROUNDING
    summary = "AVERAGE_POOL_2D of a small window -> depthwise convolution with equal taps"

    def sites(self, view: View) -> Iterable[Op]:
        return _poolings(view, "AVERAGE_POOL_2D")

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, options = view.graph, op.options
        window = (options.filterHeight, options.filterWidth)
        if max(window) > 3 and max(graph.shape(op.inputs[0])[1:3]) > max(window):
            raise CannotChange(f"no kernel that XNNPACK has in NCHW is as large as its window of {_by(window)}")
        channels = graph.shape(op.inputs[0])[3]
        shares = [_shares(view, op, axis) for axis in (1, 2)]
        kernel = np.full((1, *window, channels), 1 / math.prod(window), np.float32)
        fused = activation(op)
        at_the_edge = [s for s in shares if s is not None]
        name, out = graph.name(op.outputs[0]), op.outputs[0]
        averaged = graph.add_like(out, "_averaged") if at_the_edge else out
        _depthwise(view, op, kernel, averaged, fused="NONE" if at_the_edge else fused)
        for place, share in enumerate(at_the_edge):
            last = place == len(at_the_edge) - 1
            target = out if last else graph.add_like(out, "_corrected")
            graph.insert(
                "MUL",
                [graph.add_constant(f"{name}/share{place}", share), averaged],
                [target],
                near=op,
                options="MulOptions",
                fusedActivationFunction=number("ActivationFunctionType", fused if last else "NONE"),
            )
            averaged = target
        graph.remove(op)
        edge = ", and multiply at the edges, where it averages fewer" if at_the_edge else ""
        return f"average {_by(window)} pixels with a depthwise convolution{edge}"


class MaximumInSteps(OperatorFixer):
    """Pixels and differences of pixels, picked by depthwise convolutions."""

    name = "maximum-in-steps"
    rivals = ("average-instead-of-maximum",)
    stage = Stage.POOLINGS
    fulfils = frozenset({Condition.NCHW_KERNEL})
    exactness = Exactness.ROUNDING
    summary = "MAX_POOL_2D of up to 9 pixels -> depthwise convolutions that pick them, differences and RELU"

    def sites(self, view: View) -> Iterable[Op]:
        for op in _poolings(view, "MAX_POOL_2D"):
            if op.options.filterHeight * op.options.filterWidth <= MOST_PIXELS:
                yield op

    def apply(self, view: View, op: Op) -> str:
        window = (op.options.filterHeight, op.options.filterWidth)
        if any(any(_padding(view, op, axis)) for axis in (1, 2)) and not is_never_negative(view, op.inputs[0]):
            raise CannotChange("at its edges it ignores the padding, which a depthwise convolution reads as zeros")
        pixels = [(row, column) for row in range(window[0]) for column in range(window[1])]
        pairs = [pixels[i : i + 2] for i in range(0, len(pixels), 2)]
        maxima = [_larger_of_pair(view, op, window, pair) for pair in pairs]
        while len(maxima) > 1:
            maxima = [_larger(view, op, *maxima[:2]), *maxima[2:]]
        _finish(view, op, maxima[0])
        return f"compute the maximum of {_by(window)} pixels as a + RELU(b - a), where depthwise convolutions pick them"


def _poolings(view: View, type_: str) -> Iterable[Op]:
    graph = view.graph
    for op in view.of_type(type_):
        options = op.options
        if options is None or not is_float(graph, op.inputs[0], op.outputs[0]) or not _is_known(view, op):
            continue
        is_small = (options.filterHeight, options.filterWidth) != graph.shape(op.inputs[0])[1:3]
        more_than_one = options.filterHeight * options.filterWidth > 1
        height, width = _strides(view, op)
        if is_small and more_than_one and height == width <= 2:
            yield op


def _strides(view: View, op: Op) -> tuple[int, int]:
    """Of a depthwise convolution that picks what a pooling reads."""
    options, sizes = op.options, view.graph.shape(op.inputs[0])[1:3]
    window, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
    return square_strides(sizes, window, strides)


def _is_known(view: View, op: Op) -> bool:
    return len(view.graph.shape(op.inputs[0])) == RANK and all(d > 0 for d in view.graph.signature(op.inputs[0])[1:])


def _padding(view: View, op: Op, axis: int) -> tuple[int, int]:
    if not is_same(op):
        return 0, 0
    options = op.options
    window, stride = ((options.filterHeight, options.strideH), (options.filterWidth, options.strideW))[axis - 1]
    return same_padding(view.graph.shape(op.inputs[0])[axis], window, stride)


def _shares(view: View, op: Op, axis: int) -> np.ndarray | None:
    """Along an axis, what to multiply an average over the whole window by, since padding does not count (`AveragePool`
    in google-ai-edge/LiteRT tflite/kernels/internal/reference/pooling.h); None where nothing is padded."""
    import numpy as np

    before, after = _padding(view, op, axis)
    if not before and not after:
        return None
    options = op.options
    window, stride = ((options.filterHeight, options.strideH), (options.filterWidth, options.strideW))[axis - 1]
    size, outputs = view.graph.shape(op.inputs[0])[axis], view.graph.shape(op.outputs[0])[axis]
    starts = np.arange(outputs) * stride - before
    counts = np.minimum(starts + window, size) - np.maximum(starts, 0)
    shape = [1] * RANK
    shape[axis] = outputs
    shares: np.ndarray = (window / counts).astype(np.float32).reshape(shape)
    return shares


def _depthwise(view: View, op: Op, kernel: np.ndarray, target: int, *, fused: str = "NONE") -> None:
    padding, stride = name_of("Padding", op.options.padding), _strides(view, op)
    insert_depthwise(view, op, op.inputs[0], target, kernel, padding=padding, stride=stride, fused=fused)


def _larger_of_pair(view: View, op: Op, window: tuple[int, int], pair: list[tuple[int, int]]) -> int:
    import numpy as np

    graph = view.graph
    channels = graph.shape(op.inputs[0])[3]
    first = np.zeros((1, *window, channels), np.float32)
    first[(0, *pair[0])] = 1
    picked = graph.add_like(op.outputs[0], "_pixel")
    _depthwise(view, op, first, picked)
    if len(pair) == 1:
        return picked
    difference = -first
    difference[(0, *pair[1])] = 1
    gained = graph.add_like(op.outputs[0], "_gain")
    _depthwise(view, op, difference, gained, fused="RELU")
    return _add(view, op, picked, gained)


def _larger(view: View, op: Op, a: int, b: int) -> int:
    graph = view.graph
    negated, gained = (graph.add_like(a, suffix) for suffix in ("_negated", "_gain"))
    graph.insert("NEG", [a], [negated], near=op, options="NegOptions")
    difference = _add(view, op, b, negated)
    graph.insert("RELU", [difference], [gained], near=op)
    return _add(view, op, a, gained)


def _add(view: View, op: Op, a: int, b: int) -> int:
    target = view.graph.add_like(op.outputs[0], "_sum")
    view.graph.insert("ADD", [a, b], [target], near=op, options="AddOptions")
    return target


def _finish(view: View, op: Op, value: int) -> None:
    """The last operator writes what the pooling wrote, with its fused activation."""
    graph = view.graph
    last = graph.producer(value)
    assert last is not None
    last.outputs = [op.outputs[0]]
    last.options.fusedActivationFunction = op.options.fusedActivationFunction
    graph.remove(op)


def _by(window: tuple[int, int]) -> str:
    return f"{window[0]}x{window[1]}"


FIXERS: tuple[OperatorFixer, ...] = (AverageByDepthwise(), MaximumInSteps())
