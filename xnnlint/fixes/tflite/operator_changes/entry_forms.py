"""The convolution that enters the sparse cluster, in the form that can: 3x3, stride 2, padding 1, 3 channels.

Output i of a convolution of stride 2 reads the inputs 2i + t for some offsets t. The kernel that can has the offsets
-1, 0 and 1. Read through a shifted copy y of the image, y[j] = x[j + d], it has d - 1, d and d + 1; where d > 0, the
first of them would meet padding instead of x[d - 1], so that only d and d + 1 count. SAME on an even size has the
offsets 0, 1 and 2: d = 0 covers two, d = 2 the third. In height and width that makes four convolutions, whose sum is
the original one; more than three channels go three by three.

Cheaper for many filters: see `stem_picks`. The 1x1 convolution there has the weights in the order in which the original
one adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.stem_picks import is_picked, picks, zeros_remain
from xnnlint.fixes.tflite.editor import Op, Purpose
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    add_pad,
    insert_depthwise,
    is_float,
    is_same,
    plain_bias,
    weights,
    zeros,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_changes.depthwise_taps import pad_in_front
from xnnlint.fixes.tflite.operator_changes.shifted_image import ShiftedImage
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import Window, same_padding
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE

if TYPE_CHECKING:
    import numpy as np

_MOST_CHANNELS = 6
_MOST_PARTS = 8
_FORM = "3x3, stride 2, padding 1, 3 channels"


class Part(Struct, frozen=True):
    """One of the convolutions along one axis.

    Attributes:
        shift: d, by which its input is shifted.
        taps: (place in the original kernel, place in the new one) of the taps that it has.
    """

    shift: int
    taps: tuple[tuple[int, int], ...]


def parts(window: Window) -> tuple[Part, ...]:
    """The fewest shifts that cover all offsets of a window."""
    left = dict(enumerate(window.taps))
    found = []
    while left:
        lowest = min(left.values())
        # At a positive shift the lowest offset has to be the shift itself.
        shift = min(lowest + 1, 0) if lowest < 0 else lowest
        covered = range(shift if shift > 0 else shift - 1, shift + 2)
        taps = tuple((place, tap - shift + 1) for place, tap in left.items() if tap in covered)
        found.append(Part(shift, taps))
        for place, _ in taps:
            del left[place]
    return tuple(found)


class _Entry(OperatorFixer):
    """A first convolution of stride 2 that is no sparse entry yet."""

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D"):
            windows = _windows(view, op)
            if windows is not None and not _is_entry(view, op) and self._fits(_count(view, op, windows)):
                yield op

    def apply(self, view: View, op: Op) -> str:
        windows, kernel = _windows(view, op), weights(view.graph, op.inputs[1])
        if windows is None or kernel is None:
            raise CannotChange("its kernel cannot be read")
        pad = pad_in_front(view, op)
        source = op.inputs[0] if pad is None else pad.inputs[0]
        was = f"{kernel.shape[1]}x{kernel.shape[2]} convolution of {kernel.shape[3]} channels"
        text = self.write(view, op, source, kernel, windows)
        graph = view.graph
        if pad is not None:
            graph.remove_if_unread(pad)
        return f"write the {was} as {text}"

    def write(self, view: View, op: Op, source: int, kernel: np.ndarray, windows: tuple[Window, Window]) -> str:
        """Writes it anew, and says as what."""
        count = _write(view, op, source, kernel, windows)
        return f"a sparse entry ({_FORM})" if count == 1 else f"the sum of {count} sparse entries ({_FORM})"

    def _fits(self, count: int) -> bool:
        raise NotImplementedError


class EntryByZeroTaps(_Entry):
    """The same taps in another place, and zeros for those that it does not have."""

    name = "entry-by-zero-taps"
    stage = Stage.ENTRY
    fulfils = frozenset({Condition.STEM})
    summary = "a first convolution that one of 3x3, stride 2, padding 1 can stand for (SAME on odd sizes, 1 channel)"

    def _fits(self, count: int) -> bool:
        return count == 1


class EntryByPicking(_Entry):
    """One channel for each tap, then a 1x1 convolution."""

    name = "entry-by-picking"
    rivals = ("entry-in-parts", "padding-on-all-sides")
    stage = Stage.ENTRY
    fulfils = frozenset({Condition.STEM})
    summary = "a first convolution of stride 2 padded by SAME on even sizes -> entry and depthwise of ones, then 1x1"

    def sites(self, view: View) -> Iterable[Op]:
        for op in super().sites(view):
            windows = _windows(view, op)
            filters, height, width, channels = view.graph.shape(op.inputs[1])
            taps = height * width * channels
            if windows is None or channels > CHANNELS or not all(is_picked(window) for window in windows):
                continue
            if _zeros_remain(view, taps * filters):
                yield op

    def _fits(self, count: int) -> bool:
        return count > 1

    def write(self, view: View, op: Op, source: int, kernel: np.ndarray, windows: tuple[Window, Window]) -> str:
        import numpy as np

        graph, name = view.graph, view.graph.name(op.outputs[0])
        filters, height, width, channels = kernel.shape
        taps = height * width * channels
        entry, shift = picks(windows, channels)
        shape = (*graph.shape(op.outputs[0])[:3], taps)
        picked, shifted = (graph.add_like(op.outputs[0], suffix, shape) for suffix in ("_picked", "_shifted"))
        if channels < CHANNELS:
            source = ShiftedImage(view, op, source, windows).copy((0, 0), range(channels))
        stem = graph.insert(
            "CONV_2D",
            [
                source,
                graph.add_constant(f"{name}/picks", entry),
                zeros(view, taps, name),
            ],
            [picked],
            near=op,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=STRIDE[0],
            strideW=STRIDE[1],
        )
        add_pad(view, stem, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
        insert_depthwise(view, op, picked, shifted, shift[None], label="shifts")
        plain_bias(view, op)
        weights_name = f"{graph.name(op.inputs[1])}/stem_weights"
        flat = np.ascontiguousarray(kernel.reshape(filters, 1, 1, taps))
        op.inputs = [shifted, graph.add_constant(weights_name, flat, Purpose.STEM_WEIGHTS), op.inputs[2]]
        op.options.padding = number("Padding", "VALID")
        op.options.strideH = op.options.strideW = op.options.dilationHFactor = op.options.dilationWFactor = 1
        return f"a sparse entry ({_FORM}) that picks the pixels, and a 1x1 convolution with the weights"


class EntryInParts(_Entry):
    """The sum of several, each on a shifted copy of the image."""

    name = "entry-in-parts"
    rivals = ("padding-on-all-sides",)
    stage = Stage.ENTRY
    fulfils = frozenset({Condition.STEM})
    exactness = Exactness.ROUNDING
    summary = (
        "any other first convolution of stride 2 (SAME on even sizes, 5x5, 4 channels) -> sum of such convolutions"
    )

    def _fits(self, count: int) -> bool:
        return 1 < count <= _MOST_PARTS


def _zeros_remain(view: View, dense: int) -> bool:
    """Whether more than two thirds are zeros once the weights of the stem count, too."""
    summary = view.plan.summary
    if summary is None:
        return False
    params, share = summary.pointwise_params, view.options.prune
    zeros_there = summary.pointwise_zeros if share is None else max(summary.pointwise_zeros, int(share * params))
    return zeros_remain(params, zeros_there, dense)


def _write(view: View, op: Op, source: int, kernel: np.ndarray, windows: tuple[Window, Window]) -> int:
    """Writes the parts in front of an operator, which becomes their sum. Returns how many there are."""
    import numpy as np

    graph = view.graph
    rows, columns = (parts(w) for w in windows)
    triples = [range(c, min(c + CHANNELS, kernel.shape[3])) for c in range(0, kernel.shape[3], CHANNELS)]
    jobs = [(row, column, triple) for triple in triples for row in rows for column in columns]
    name, fused = graph.name(op.outputs[0]), activation(op)
    single = len(jobs) == 1
    image = ShiftedImage(view, op, source, windows)
    total = -1
    for index, (row, column, triple) in enumerate(jobs):
        taken = image.copy((row.shift, column.shift), triple)
        filters = np.zeros((kernel.shape[0], *KERNEL, CHANNELS), np.float32)
        for place, to in row.taps:
            for other, across in column.taps:
                filters[:, to, across, : len(triple)] = kernel[:, place, other, triple.start : triple.stop]
        out = op.outputs[0] if single else graph.add_like(op.outputs[0], f"_part{index}")
        plain_bias(view, op)
        bias = op.inputs[2] if index == 0 else zeros(view, kernel.shape[0], name)
        made = graph.insert(
            "CONV_2D",
            [taken, graph.add_constant(f"{name}/kernel{index}", filters), bias],
            [out],
            near=op,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=STRIDE[0],
            strideW=STRIDE[1],
            fusedActivationFunction=number("ActivationFunctionType", fused if single else "NONE"),
        )
        add_pad(view, made, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
        if index == 0:
            total = out
        else:
            last = index == len(jobs) - 1
            summed = op.outputs[0] if last else graph.add_like(op.outputs[0], f"_sum{index}")
            activated = number("ActivationFunctionType", fused if last else "NONE")
            graph.insert(
                "ADD", [total, out], [summed], near=op, options="AddOptions", fusedActivationFunction=activated
            )
            total = summed
    graph.remove(op)
    return len(jobs)


def _windows(view: View, op: Op) -> tuple[Window, Window] | None:
    """Height and width of a convolution of stride 2 and one group with few input channels; None for other ones."""
    graph = view.graph
    if len(op.inputs) < 3 or op.options is None or not is_float(graph, op.inputs[0], op.outputs[0]):
        return None
    options, kernel = op.options, graph.shape(op.inputs[1])
    if (options.strideH, options.strideW) != STRIDE or len(kernel) != 4 or kernel[1:3] == (1, 1):
        return None
    if kernel[3] > _MOST_CHANNELS or kernel[3] != graph.shape(op.inputs[0])[3] or weights(graph, op.inputs[1]) is None:
        return None
    pad = pad_in_front(view, op)
    source = op.inputs[0] if pad is None else pad.inputs[0]
    amounts = graph.constant(pad.inputs[1]) if pad is not None else None
    found = []
    for axis, dilation in ((1, options.dilationHFactor), (2, options.dilationWFactor)):
        before, after = (0, 0) if amounts is None else (int(amounts[axis][0]), int(amounts[axis][1]))
        if is_same(op):
            more = same_padding(graph.shape(op.inputs[0])[axis], kernel[axis], STRIDE[0], dilation)
            before, after = before + more[0], after + more[1]
        found.append(Window.of(graph.shape(source)[axis], kernel[axis], STRIDE[0], dilation, (before, after)))
    return found[0], found[1]


def _count(view: View, op: Op, windows: tuple[Window, Window]) -> int:
    triples = math.ceil(view.graph.shape(op.inputs[1])[3] / CHANNELS)
    return triples * len(parts(windows[0])) * len(parts(windows[1]))


def _is_entry(view: View, op: Op) -> bool:
    graph = view.graph
    _, height, width, channels = graph.shape(op.inputs[1])
    pad = pad_in_front(view, op)
    if (height, width) != KERNEL or channels != CHANNELS or pad is None or is_same(op):
        return False
    if len(graph.consumers(pad.outputs[0])) > 1 or pad.outputs[0] in graph.outputs:
        return False
    amounts = graph.constant(pad.inputs[1])
    return amounts is not None and amounts[1:3].reshape(-1).tolist() == [PAD] * 4


FIXERS: tuple[OperatorFixer, ...] = (EntryByZeroTaps(), EntryByPicking(), EntryInParts())
