"""1x1 convolutions, and what is one in disguise, in the form that SpMM runs: stride 1, one group, CONV_2D."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op, Purpose
from xnnlint.fixes.tflite.graph_parts import (
    activation,
    add_pad,
    insert_depthwise,
    is_float,
    plain_bias,
    weights,
    zeros,
)
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

STRIDE = 2


class StrideBeforePointwise(OperatorFixer):
    """A depthwise convolution with a one in its middle takes every second pixel, as a stride does."""

    name = "stride-before-pointwise"
    stage = Stage.POINTWISE
    fulfils = frozenset({Condition.POINTWISE})
    summary = "1x1 convolution of stride 2 -> depthwise identity of stride 2, then 1x1"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D"):
            if _is_pointwise(view, op) and (op.options.strideH, op.options.strideW) == (STRIDE, STRIDE):
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        batch, height, width, channels = graph.shape(op.inputs[0])
        kernel = np.zeros((1, 3, 3, channels), np.float32)
        kernel[0, 1, 1] = 1
        halved = (batch, -(-height // STRIDE), -(-width // STRIDE), channels)
        taken = graph.add_like(op.inputs[0], "_every_second", halved)
        depthwise = insert_depthwise(
            view, op, op.inputs[0], taken, kernel, label="identity", padding="VALID", stride=(STRIDE, STRIDE)
        )
        add_pad(view, depthwise, ((0, 0), (1, 1), (1, 1), (0, 0)))
        op.inputs[0] = taken
        op.options.strideH = op.options.strideW = 1
        return "take every second pixel with a depthwise convolution, and convolve with stride 1"


class OneGroup(OperatorFixer):
    """The kernels of the groups, side by side, with zeros between them."""

    name = "one-group"
    stage = Stage.POINTWISE
    fulfils = frozenset({Condition.POINTWISE})
    summary = "1x1 convolution in groups -> one group with zeros"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D"):
            if _is_pointwise(view, op, grouped=True):
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        values = weights(graph, op.inputs[1])
        if values is None:
            raise CannotChange("its kernel cannot be read")
        channels, (filters, _, _, each) = graph.shape(op.inputs[0])[3], values.shape
        groups = channels // each
        whole = np.zeros((filters, 1, 1, channels), np.float32)
        for group in range(groups):
            rows = slice(group * filters // groups, (group + 1) * filters // groups)
            whole[rows, :, :, group * each : (group + 1) * each] = values[rows]
        op.inputs[1] = graph.add_constant(f"{graph.name(op.inputs[1])}_one_group", whole)
        plain_bias(view, op)
        return f"write its {groups} groups as one, with zeros between them"


class MultiplyChannelsFirst(OperatorFixer):
    """A 1x1 convolution of zeros and ones copies each channel; then each copy has its own depthwise filter."""

    name = "multiply-channels-first"
    stage = Stage.POINTWISE
    fulfils = frozenset({Condition.DEPTHWISE})
    summary = "depthwise convolution with a multiplier -> 1x1 convolution that copies channels, then one filter each"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("DEPTHWISE_CONV_2D"):
            if len(op.inputs) == 3 and is_float(graph, op.inputs[0], op.outputs[0]):
                channels, made = graph.shape(op.inputs[0])[3], graph.shape(op.outputs[0])[3]
                if made > channels and made % channels == 0:
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        channels, made = graph.shape(op.inputs[0])[3], graph.shape(op.outputs[0])[3]
        source, near = op.inputs[0], op
        pad = graph.producer(source)
        if pad is not None and pad.type == "PAD" and graph.consumers(source) == [op] and source not in graph.outputs:
            # The padding has to stay with the depthwise convolution.
            near, source = pad, pad.inputs[0]
        copied = select(view, near, source, [c * channels // made for c in range(made)], "_copied")
        if near is op:
            op.inputs[0] = copied
        else:
            assert pad is not None
            padded = graph.add_like(op.inputs[0], "_copied", (*graph.shape(op.inputs[0])[:3], made))
            pad.inputs[0], pad.outputs, op.inputs[0] = copied, [padded], padded
        op.options.depthMultiplier = 1
        return f"copy each channel {made // channels} times with a 1x1 convolution first"


class DenseOnMap(OperatorFixer):
    """FULLY_CONNECTED on every pixel, and a RESHAPE back to the map, is a 1x1 convolution."""

    name = "convolve-every-pixel"
    stage = Stage.POINTWISE
    fulfils = frozenset({Condition.FULLY_CONNECTED, Condition.NCHW_KERNEL, Condition.MAP_BEFORE_FULLY_CONNECTED})
    summary = "FULLY_CONNECTED on a map, with a RESHAPE back to it -> 1x1 CONV_2D"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("FULLY_CONNECTED"):
            if len(op.inputs) >= 2 and is_float(graph, op.inputs[0], op.outputs[0]) and op.options is not None:
                source, filters = graph.shape(op.inputs[0]), graph.shape(op.inputs[1])
                if (
                    len(source) == 4
                    and len(filters) == 2
                    and source[3] == filters[1]
                    and _kept_map(view, op) is not None
                ):
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph, result = view.graph, _kept_map(view, op)
        if result is None:
            raise CannotChange("it keeps no map")
        reshape = graph.producer(result)
        convolve(view, op)
        if reshape is not op and reshape is not None:
            op.outputs = [result]
            graph.remove(reshape)
        return "convolve every pixel with a 1x1 kernel instead"


def convolve(view: View, op: Op) -> None:
    """Makes a FULLY_CONNECTED the 1x1 CONV_2D of the same weights.

    Raises:
        CannotChange: they cannot be read.
    """
    graph = view.graph
    values = weights(graph, op.inputs[1])
    if values is None:
        raise CannotChange("its weights cannot be read")
    name = graph.name(op.inputs[1])
    kernel = graph.add_constant(f"{name}_1x1", values.reshape(values.shape[0], 1, 1, values.shape[1]))
    has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
    plain_bias(view, op)
    bias = op.inputs[2] if has_bias else zeros(view, values.shape[0], name)
    fused = number("ActivationFunctionType", activation(op))
    op.inputs = [op.inputs[0], kernel, bias]
    graph.retype(
        op,
        "CONV_2D",
        options="Conv2DOptions",
        padding=number("Padding", "VALID"),
        strideH=1,
        strideW=1,
        fusedActivationFunction=fused,
    )


def select(view: View, near: Op, source: int, channels: list[int], suffix: str) -> int:
    """A 1x1 convolution, before `near`, that takes channels of a map; the value that it writes."""
    graph = view.graph
    target = graph.add_like(source, suffix, (*graph.shape(source)[:3], len(channels)))
    selecting_convolution(view, near, source, target, channels)
    return target


def selecting_convolution(view: View, near: Op, source: int, target: int, channels: Sequence[int | None]) -> Op:
    """The same into a value that is there; None for a channel of zeros."""
    import numpy as np

    graph = view.graph
    kernel = np.zeros((len(channels), 1, 1, graph.shape(source)[3]), np.float32)
    for row, channel in enumerate(channels):
        if channel is not None:
            kernel[row, 0, 0, channel] = 1
    name = graph.name(target)
    stored = graph.add_constant(f"{name}/moved_channels", kernel, Purpose.MOVES_CHANNELS)
    return graph.insert(
        "CONV_2D",
        [source, stored, zeros(view, len(channels), name)],
        [target],
        near=near,
        options="Conv2DOptions",
        padding=number("Padding", "VALID"),
        strideH=1,
        strideW=1,
    )


def _kept_map(view: View, op: Op) -> int | None:
    """The map that a FULLY_CONNECTED makes of a map: its output, or that of the RESHAPE behind it."""
    graph = view.graph
    out = op.outputs[0]
    wanted = (*graph.shape(op.inputs[0])[:3], graph.shape(op.inputs[1])[0])
    if graph.shape(out) == wanted:
        return out
    readers = graph.consumers(out)
    if out not in graph.outputs and len(readers) == 1 and readers[0].type == "RESHAPE":
        return readers[0].outputs[0] if graph.shape(readers[0].outputs[0]) == wanted else None
    return None


def _is_pointwise(view: View, op: Op, *, grouped: bool = False) -> bool:
    graph = view.graph
    if len(op.inputs) != 3 or op.options is None or not is_float(graph, op.inputs[0], op.outputs[0]):
        return False
    shape, channels = graph.shape(op.inputs[1]), graph.shape(op.inputs[0])[3]
    return shape[1:3] == (1, 1) and (shape[3] < channels if grouped else shape[3] == channels)


FIXERS: tuple[OperatorFixer, ...] = (DenseOnMap(), OneGroup(), StrideBeforePointwise(), MultiplyChannelsFirst())
