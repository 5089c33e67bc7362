"""Operators that only move channels about, as 1x1 convolutions of zeros and ones, which are as sparse as can be.

A row of such a kernel has a single one, so that SpMM does nothing but copy. Concatenation is the sum of convolutions
that put each part in its place. The products with zero are exact for all finite values.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import activation, is_float, is_map
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import selecting_convolution
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
_MOST_PARTS = 8
_MOST_CHANNELS = 1024


class AddInPlace(OperatorFixer):
    """Each part in its channels, zeros in the others, and the sum of all."""

    name = "concatenate-by-adding"
    stage = Stage.CHANNELS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED})
    summary = "CONCATENATION of channels -> 1x1 convolutions that put each part in its place, and ADD"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("CONCATENATION"):
            if op.options is None or op.options.axis not in (3, -1) or not 1 < len(op.inputs) <= _MOST_PARTS:
                continue
            shape = graph.shape(op.outputs[0])
            maps = all(is_map(graph, t) for t in op.inputs) and is_float(graph, *op.inputs, *op.outputs)
            if maps and shape[1:3] != (1, 1) and shape[3] <= _MOST_CHANNELS and self.takes(view, op):
                yield op

    def takes(self, view: View, op: Op) -> bool:
        """Whether it is made at a CONCATENATION, or by another kind."""
        return not _pixels(view, op)

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        total, out, fused, first = graph.shape(op.outputs[0])[3], op.outputs[0], activation(op), 0
        pixels = _pixels(view, op)
        maps: list[int] = []
        broadcast: list[int] = []
        for index, part in enumerate(op.inputs):
            channels = graph.shape(part)[3]
            source = pixels.get(part, part)
            target = graph.add_like(out, f"_place{index}", (*graph.shape(source)[:3], total))
            rows = [c - first if first <= c < first + channels else None for c in range(total)]
            selecting_convolution(view, op, source, target, rows)
            (broadcast if part in pixels else maps).append(target)
            first += channels
        placed = maps + broadcast
        value = placed[0]
        for index, part in enumerate(placed[1:], 2):
            last = index == len(placed)
            summed = out if last else graph.add_like(out, f"_sum{index}")
            kind = number("ActivationFunctionType", fused if last else "NONE")
            graph.insert("ADD", [value, part], [summed], near=op, options="AddOptions", fusedActivationFunction=kind)
            value = summed
        graph.remove(op)
        for part in pixels:
            resize = graph.producer(part)
            if resize is not None:
                graph.remove_if_unread(resize)
        return f"put its {len(placed)} parts in their places with 1x1 convolutions, and add them"


class AddPixelsInPlace(AddInPlace):
    """A part that is one pixel, resized to the map, is added to every pixel instead: ADD broadcasts it."""

    name = "concatenate-a-pixel"
    exactness = Exactness.ROUNDING
    fulfils = frozenset({*AddInPlace.fulfils, Condition.RESIZE_BILINEAR})
    summary = "CONCATENATION with a pixel that is resized to the map (ASPP) -> the same, the pixel broadcast by ADD"

    def takes(self, view: View, op: Op) -> bool:
        return 0 < len(_pixels(view, op)) < len(op.inputs)


def _pixels(view: View, op: Op) -> dict[int, int]:
    """The parts of a CONCATENATION that are one pixel, resized, and that pixel."""
    graph, found = view.graph, {}
    for part in op.inputs:
        resize = view.producer(part, *_RESIZES)
        pixel = resize.inputs[0] if resize is not None else -1
        if is_float(graph, pixel) and is_map(graph, pixel) and graph.shape(pixel)[1:3] == (1, 1):
            found[part] = pixel
    return found


class SelectChannels(OperatorFixer):
    """A slice of channels, a gathering of some, or a shuffle of all."""

    name = "select-channels"
    stage = Stage.CHANNELS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED})
    summary = "SPLIT, SPLIT_V, SLICE and GATHER of channels -> 1x1 convolutions that select"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER"):
            if _selected(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        found = _selected(view, op)
        if found is None:
            raise CannotChange("it does more than to select channels")
        source, selections = found
        if max(len(channels) for _, channels in selections) > _MOST_CHANNELS:
            raise CannotChange(f"more than {_MOST_CHANNELS} channels")
        for target, channels in selections:
            selecting_convolution(view, op, source, target, list(channels))
        view.graph.remove(op)
        return f"select the channels with 1x1 convolutions instead of {op.type}"


Selection = tuple[int, list[tuple[int, list[int]]]]


def _selected(view: View, op: Op) -> Selection | None:
    """The map that is read, and for each output its channels."""
    graph = view.graph
    source = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]
    if source < 0 or not is_float(graph, source, *op.outputs):
        return None
    shape = graph.shape(source)
    if not is_map(graph, source) or shape[1:3] == (1, 1):
        return None
    every = list(range(shape[3]))
    if op.type == "SPLIT":
        axis = graph.constant(op.inputs[0])
        if axis is None or int(axis.reshape(-1)[0]) not in (3, -1):
            return None
        width = shape[3] // len(op.outputs)
        return source, [(t, every[i * width : (i + 1) * width]) for i, t in enumerate(op.outputs)]
    if op.type == "SPLIT_V":
        axis = graph.constant(op.inputs[2])
        if axis is None or int(axis.reshape(-1)[0]) not in (3, -1):
            return None
        ends = list(accumulate(graph.shape(t)[3] for t in op.outputs))
        return source, [(t, every[e - graph.shape(t)[3] : e]) for t, e in zip(op.outputs, ends, strict=True)]
    channels = _of_slice(view, op, shape)
    return None if channels is None else (source, [(op.outputs[0], channels)])


def _of_slice(view: View, op: Op, shape: tuple[int, ...]) -> list[int] | None:
    """The channels that SLICE, STRIDED_SLICE or GATHER takes; None where it takes not all pixels."""
    graph = view.graph
    out = graph.shape(op.outputs[0])
    if len(out) != 4 or out[:3] != shape[:3] or not out[3]:
        return None
    if op.type == "GATHER":
        indices = graph.constant(op.inputs[1])
        if indices is None or op.options is None or op.options.axis not in (3, -1) or op.options.batchDims:
            return None
        return [int(i) for i in indices.reshape(-1)] if indices.ndim == 1 else None
    begin = graph.constant(op.inputs[1])
    if begin is None or begin.shape != (4,):
        return None
    if op.type == "SLICE":
        return list(range(int(begin[3]), int(begin[3]) + out[3])) if begin[3] >= 0 else None
    options, strides = op.options, graph.constant(op.inputs[3])
    if strides is None or (strides < 1).any() or options is None:
        return None
    if options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask or (strides[:3] != 1).any():
        return None
    first = 0 if options.beginMask & 8 else int(begin[3]) % shape[3]
    return [first + i * int(strides[3]) for i in range(out[3])]


FIXERS: tuple[OperatorFixer, ...] = (AddInPlace(), AddPixelsInPlace(), SelectChannels())
