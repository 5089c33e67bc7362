"""Convolutions of several taps inside a cluster, one tap at a time.

XNNPACK has NCHW kernels for 1x1 and depthwise convolutions only (google/XNNPACK src/subgraph.c
`xnn_check_nchw_compatibility`). A depthwise convolution with a single 1 moves the map so that a tap's pixel comes to
lie in the middle, a 1x1 convolution weighs it, and the sum over the taps is the convolution. It pays only where most
weights are zeros: SpMM of dense weights is slower than the dense kernel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    insert_depthwise,
    is_float,
    is_map,
    is_same,
    plain_bias,
    weights,
    zeros,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import name_of, number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import passes_zeros_test

if TYPE_CHECKING:
    import numpy as np

MOST_TAPS = 9
# An entry reads so many channels, and begins a cluster.
_ENTRY_CHANNELS = 3


class TapByTap(OperatorFixer):
    """The sum over the taps of a small kernel."""

    name = "tap-by-tap"
    stage = Stage.CONVOLUTIONS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.STEM})
    exactness = Exactness.ROUNDING
    summary = (
        "pruned convolutions of up to 9 taps -> for each tap a depthwise shift and a 1x1 convolution, and their sum"
    )

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("CONV_2D"):
            if len(op.inputs) != 3 or op.options is None or not is_float(graph, op.inputs[0], op.outputs[0]):
                continue
            shape, source = graph.shape(op.inputs[1]), graph.shape(op.inputs[0])
            several = len(shape) == 4 and 1 < shape[1] * shape[2] <= MOST_TAPS
            if not several or shape[3] != source[3] or shape[3] <= _ENTRY_CHANNELS or not is_map(graph, op.inputs[0]):
                continue
            if (op.options.strideH, op.options.strideW) in ((1, 1), (2, 2)) and graph.shape(op.outputs[0])[1:3] != (
                1,
                1,
            ):
                values = weights(graph, op.inputs[1])
                if values is not None and (view.options.prune or _has_enough_zeros(values)):
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        values = weights(graph, op.inputs[1])
        if values is None:
            raise CannotChange("its kernel cannot be read")
        _, height, width, _ = values.shape
        plain_bias(view, op)
        name, out, fused = graph.name(op.outputs[0]), op.outputs[0], activation(op)
        taps = [(row, column) for row in range(height) for column in range(width) if values[:, row, column].any()]
        taps = taps or [(0, 0)]
        total = -1
        for place, tap in enumerate(taps):
            last = place == len(taps) - 1
            moved = _moved(view, op, (height, width), tap)
            weighed = graph.add_like(out, f"_tap{place}") if len(taps) > 1 else out
            _weigh(
                view,
                op,
                moved,
                weighed,
                values[:, tap[0], tap[1]],
                bias=place == 0,
                fused="NONE" if len(taps) > 1 else fused,
            )
            if place == 0:
                total = weighed
                continue
            target = out if last else graph.add_like(out, f"_sum{place}")
            graph.insert(
                "ADD",
                [total, weighed],
                [target],
                near=op,
                options="AddOptions",
                fusedActivationFunction=number("ActivationFunctionType", fused if last else "NONE"),
            )
            total = target
        graph.remove(op)
        return (
            f"compute the {height}x{width} convolution tap by tap: {len(taps)} shifts and 1x1 convolutions for {name!r}"
        )


def _moved(view: View, op: Op, window: tuple[int, int], tap: tuple[int, int]) -> int:
    """What a tap reads, at the places of the output; the input itself where that is the same."""
    import numpy as np

    graph, options = view.graph, op.options
    centre = (window[0] // 2, window[1] // 2)
    odd = window[0] % 2 == window[1] % 2 == 1
    if is_same(op) and options.strideH == 1 and odd and tap == centre:
        return op.inputs[0]
    channels = graph.shape(op.inputs[0])[3]
    kernel = np.zeros((1, *window, channels), np.float32)
    kernel[(0, *tap)] = 1
    shape = (*graph.shape(op.outputs[0])[:3], channels)
    moved = graph.add_like(op.inputs[0], f"_tap{tap[0]}{tap[1]}", shape)
    insert_depthwise(
        view,
        op,
        op.inputs[0],
        moved,
        kernel,
        padding=name_of("Padding", options.padding),
        stride=(options.strideH, options.strideW),
        dilation=(options.dilationHFactor, options.dilationWFactor),
    )
    return moved


def _weigh(view: View, op: Op, source: int, target: int, values: np.ndarray, *, bias: bool, fused: str) -> None:
    import numpy as np

    graph, name = view.graph, view.graph.name(target)
    kernel = np.ascontiguousarray(values.reshape(values.shape[0], 1, 1, -1))
    graph.insert(
        "CONV_2D",
        [
            source,
            graph.add_constant(f"{name}/kernel", kernel),
            op.inputs[2] if bias else zeros(view, values.shape[0], name),
        ],
        [target],
        near=op,
        options="Conv2DOptions",
        padding=number("Padding", "VALID"),
        strideH=1,
        strideW=1,
        fusedActivationFunction=number("ActivationFunctionType", fused),
    )


def _has_enough_zeros(values: np.ndarray) -> bool:
    import numpy as np

    return passes_zeros_test(values.size - int(np.count_nonzero(values)), values.size)


FIXERS: tuple[OperatorFixer, ...] = (TapByTap(),)
