"""Depthwise convolutions that XNNPACK has no NCHW kernel for, written as ones that it has.

A 3x3 kernel that starts at the pixel itself, as SAME does at stride 2 on even sizes, is a 5x5 kernel with padding 2
whose other taps are zero. So is every kernel whose taps all lie within two pixels: 1x1, 3x5, dilated ones. The zero
taps add zeros, so that the numbers are the same; they cost multiplications in the depthwise convolution only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    add_pad,
    insert_depthwise,
    is_float,
    is_same,
    plain_bias,
    weights,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import Window, same_padding
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.depthwise import PADDING_OF_KERNEL

if TYPE_CHECKING:
    import numpy as np

STRIDES = (1, 2)
_WIDEST = max(PADDING_OF_KERNEL.values())
_MOST_PARTS = 4


class SupportedDepthwise(OperatorFixer):
    """The same sums in a kernel with zero taps."""

    name = "zero-taps"
    rivals = ("padding-on-all-sides",)
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.DEPTHWISE})
    summary = "depthwise convolutions of other kernels and paddings -> 3x3 or 5x5 with symmetric padding and zero taps"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("DEPTHWISE_CONV_2D"):
            if _windows(view, op) is not None and not _is_supported(view, op):
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        windows = _windows(view, op)
        values = weights(graph, op.inputs[1])
        if windows is None or values is None:
            raise CannotChange("its kernel cannot be read")
        padding = next((p for p in sorted(PADDING_OF_KERNEL.values()) if all(w.fits(p) for w in windows)), None)
        if padding is None:
            raise CannotChange("no kernel that XNNPACK has can stand for it")
        kernel = 2 * padding + 1
        pad = pad_in_front(view, op)
        grown = np.zeros((1, kernel, kernel, values.shape[3]), np.float32)
        rows, columns = ([tap + padding for tap in w.taps] for w in windows)
        grown[0, np.array(rows)[:, None], np.array(columns)[None, :]] = values[0]
        was = f"{values.shape[1]}x{values.shape[2]}"
        if pad is not None:
            op.inputs[0] = pad.inputs[0]
            graph.remove_if_unread(pad)
        same = windows[0].stride == 1
        if not same:
            add_pad(view, op, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        op.inputs[1] = graph.add_constant(f"{graph.name(op.inputs[1])}_{kernel}x{kernel}", grown)
        plain_bias(view, op)
        op.options.padding = number("Padding", "SAME" if same else "VALID")
        op.options.dilationHFactor = op.options.dilationWFactor = 1
        kept = "symmetric padding" if was == f"{kernel}x{kernel}" else f"a {kernel}x{kernel} kernel with zero taps"
        return f"write the {was} kernel as {kept} (padding {padding})"


class DepthwiseInParts(OperatorFixer):
    """The taps that lie too far out, in a part of their own, of which the result is shifted by whole outputs.

    SAME at stride 2 gives a 5x5 kernel the offsets -1 to 3 on even sizes: 3 is the offset 1 of the next output.
    """

    name = "taps-in-parts"
    rivals = ("padding-on-all-sides",)
    stage = Stage.DEPTHWISE
    fulfils = frozenset({Condition.DEPTHWISE})
    exactness = Exactness.ROUNDING
    summary = "depthwise convolutions with taps further out (5x5, stride 2, SAME on even sizes) -> sum of shifted ones"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("DEPTHWISE_CONV_2D"):
            windows = None if _is_supported(view, op) else _windows(view, op)
            if windows is None or any(all(w.fits(p) for w in windows) for p in PADDING_OF_KERNEL.values()):
                continue
            rows, columns = (_far_parts(w) for w in windows)
            if rows and columns and len(rows) * len(columns) <= _MOST_PARTS:
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, windows, values = view.graph, _windows(view, op), weights(view.graph, op.inputs[1])
        if windows is None or values is None:
            raise CannotChange("its kernel cannot be read")
        plain_bias(view, op)
        pad = pad_in_front(view, op)
        source = op.inputs[0] if pad is None else pad.inputs[0]
        name, out, bias, fused = graph.name(op.outputs[0]), op.outputs[0], op.inputs[2], activation(op)
        none = number("ActivationFunctionType", "NONE")
        no_bias = graph.add_constant(f"{name}/no_bias", np.zeros(values.shape[3], np.float32))
        stride, size = windows[0].stride, 2 * _WIDEST + 1
        jobs = [(row, column) for row in _far_parts(windows[0]) for column in _far_parts(windows[1])]
        total = -1
        for index, ((s, rows), (t, columns)) in enumerate(jobs):
            kernel = np.zeros((1, size, size, values.shape[3]), np.float32)
            for place, tap in rows:
                for other, across in columns:
                    kernel[0, tap + _WIDEST, across + _WIDEST] = values[0, place, other]
            part = graph.add_like(out, f"_part{index}")
            made = _depthwise(view, op, source, part, kernel, no_bias if index else bias, stride)
            if stride > 1:
                add_pad(view, made, ((0, 0), (_WIDEST, _WIDEST), (_WIDEST, _WIDEST), (0, 0)))
            if (s, t) != (0, 0):
                shift = np.zeros((1, 3, 3, values.shape[3]), np.float32)
                shift[0, s + 1, t + 1] = 1
                moved = graph.add_like(out, f"_moved{index}")
                _depthwise(view, op, part, moved, shift, no_bias, 1)
                part = moved
            if index:
                last = index == len(jobs) - 1
                summed = out if last else graph.add_like(out, f"_sum{index}")
                kind = number("ActivationFunctionType", fused) if last else none
                graph.insert(
                    "ADD", [total, part], [summed], near=op, options="AddOptions", fusedActivationFunction=kind
                )
                part = summed
            total = part
        graph.remove(op)
        if pad is not None:
            graph.remove_if_unread(pad)
        return f"write the {values.shape[1]}x{values.shape[2]} kernel as the sum of {len(jobs)} shifted ones"


def _far_parts(window: Window) -> list[tuple[int, list[tuple[int, int]]]]:
    """Parts by shift in whole outputs, 0 first, each with (place in the kernel, offset that is left); the bias must not
    be shifted. Empty where shifts by more than one output would be needed, or the outputs are others."""
    if (window.size - 1) // window.stride + 1 != window.outputs:
        return []
    found: dict[int, list[tuple[int, int]]] = {0: []}
    for place, tap in enumerate(window.taps):
        shift = 0 if abs(tap) <= _WIDEST else 1 if tap > 0 else -1
        left = tap - shift * window.stride
        if abs(left) > _WIDEST:
            return []
        found.setdefault(shift, []).append((place, left))
    return list(found.items()) if found[0] else []


def _depthwise(view: View, near: Op, source: int, target: int, kernel: np.ndarray, bias: int, stride: int) -> Op:
    """A depthwise convolution before `near`; VALID where it strides, for which a PAD has to be added."""
    padding = "SAME" if stride == 1 else "VALID"
    return insert_depthwise(
        view, near, source, target, kernel, label="taps", bias=bias, padding=padding, stride=(stride, stride)
    )


def pad_in_front(view: View, op: Op) -> Op | None:
    """A PAD of height and width that only feeds padding to an operator."""
    graph = view.graph
    pad = graph.producer(op.inputs[0])
    if pad is None or pad.type != "PAD" or len(pad.inputs) != 2:
        return None
    amounts = graph.constant(pad.inputs[1])
    if len(graph.shape(pad.inputs[0])) != 4 or amounts is None or amounts.shape != (4, 2):
        return None
    if amounts[[0, 3]].any() or (amounts < 0).any():
        return None
    return pad


def _windows(view: View, op: Op) -> tuple[Window, Window] | None:
    """Height and width of a depthwise convolution with one filter for each channel; None for other ones."""
    graph = view.graph
    if len(op.inputs) < 3 or not is_float(graph, op.inputs[0], op.outputs[0]):
        return None
    values = weights(graph, op.inputs[1])
    options, source = op.options, op.inputs[0]
    if values is None or options is None or values.shape[3] != graph.shape(source)[3]:
        return None
    padded = [(0, 0), (0, 0)]
    pad = pad_in_front(view, op)
    if pad is not None:
        source = pad.inputs[0]
        amounts = graph.constant(pad.inputs[1])
        assert amounts is not None
        padded = [(int(a), int(b)) for a, b in amounts[1:3]]
    found = []
    for axis, stride, dilation in (
        (1, options.strideH, options.dilationHFactor),
        (2, options.strideW, options.dilationWFactor),
    ):
        kernel, (before, after) = values.shape[axis], padded[axis - 1]
        if is_same(op):
            more = same_padding(graph.shape(op.inputs[0])[axis], kernel, stride, dilation)
            before, after = before + more[0], after + more[1]
        found.append(Window.of(graph.shape(source)[axis], kernel, stride, dilation, (before, after)))
    height, width = found
    if height.stride != width.stride or height.stride not in STRIDES:
        return None
    return height, width


def _is_supported(view: View, op: Op) -> bool:
    """Whether it has the form that XNNPACK has a kernel for already."""
    graph = view.graph
    _, height, width, _ = graph.shape(op.inputs[1])
    options = op.options
    if (
        height != width
        or height not in PADDING_OF_KERNEL
        or options.dilationHFactor != 1
        or options.dilationWFactor != 1
    ):
        return False
    padding, pad = PADDING_OF_KERNEL[height], pad_in_front(view, op)
    if pad is None:
        return is_same(op) and options.strideH == 1
    if len(graph.consumers(pad.outputs[0])) > 1 or pad.outputs[0] in graph.outputs:
        # XNNPACK folds only a PAD that nobody else reads into a convolution (`xnn_subgraph_fusion` in src/subgraph.c).
        return False
    amounts = graph.constant(pad.inputs[1])
    assert amounts is not None
    return not is_same(op) and amounts[1:3].reshape(-1).tolist() == [padding] * 4


FIXERS: tuple[OperatorFixer, ...] = (SupportedDepthwise(), DepthwiseInParts())
