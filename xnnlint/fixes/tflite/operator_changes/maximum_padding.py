"""The padding of a max pooling, as PyTorch has it: with minus infinity, by an operator of its own.

The delegate takes no PADV2 (`VisitNode` of google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc), so that
it cuts the model in two. MAX_POOL_2D padded by SAME ignores what lies outside, which is the same where it pads as much.
Where no element is negative, a zero outside is never more than what lies inside, and PAD does; every window has a pixel
inside, since no padding is as wide as the window.
"""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_float, is_never_negative, is_same
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import same_padding
from xnnlint.xnnpack.conditions.condition import Condition

# What exporters write for the lowest number there is: -inf, or the lowest of single precision.
_LOWEST = -3.4e38


class PadMaximum(OperatorFixer):
    """SAME where that is as much, else zeros where nothing is negative."""

    name = "pad-maximum"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.DELEGATED, Condition.NCHW_KERNEL})
    summary = "PADV2 of -inf in front of MAX_POOL_2D -> SAME, or PAD of zeros where no element is negative"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("PADV2"):
            if _pads_maxima(view, op) and (_is_same_as(view, op) or is_never_negative(view, op.inputs[0])):
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        poolings = graph.consumers(op.outputs[0])
        if _is_same_as(view, op):
            for pooling in poolings:
                pooling.options.padding = number("Padding", "SAME")
                pooling.inputs[0] = op.inputs[0]
            graph.remove(op)
            return "let the pooling pad by SAME, which is as much"
        if not is_never_negative(view, op.inputs[0]):
            raise CannotChange("it may pool negative numbers, of which zero is not the least")
        op.inputs = op.inputs[:2]
        graph.retype(op, "PAD", options="PadOptions")
        return "pad with zeros, which no element is below"


def _pads_maxima(view: View, op: Op) -> bool:
    """Whether it gives maps a border of the lowest number, narrower than the window of every pooling that reads it."""
    graph = view.graph
    if len(op.inputs) != 3 or not is_float(graph, op.inputs[0], op.outputs[0]) or op.outputs[0] in graph.outputs:
        return False
    amounts, value = graph.constant(op.inputs[1]), graph.constant(op.inputs[2])
    poolings = graph.consumers(op.outputs[0])
    if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any() or not poolings:
        return False
    if value is None or value.size != 1 or float(value.reshape(-1)[0]) > _LOWEST:
        return False
    plain = [p for p in poolings if p.type == "MAX_POOL_2D" and view.is_regular(p) and not is_same(p)]
    if len(plain) < len(poolings):
        return False
    narrowest = [min(p.options.filterHeight for p in plain), min(p.options.filterWidth for p in plain)]
    return all(int(amounts[axis].max()) < window for axis, window in zip((1, 2), narrowest, strict=True))


def _is_same_as(view: View, op: Op) -> bool:
    """Whether SAME would pad as much, for every pooling."""
    graph = view.graph
    amounts = graph.constant(op.inputs[1])
    assert amounts is not None
    sizes = graph.shape(op.inputs[0])
    if any(d < 0 for d in graph.signature(op.inputs[0])[1:]):
        return False
    for pooling in graph.consumers(op.outputs[0]):
        options = pooling.options
        for axis, window, stride in (
            (1, options.filterHeight, options.strideH),
            (2, options.filterWidth, options.strideW),
        ):
            written = -(-sizes[axis] // stride)
            if same_padding(sizes[axis], window, stride) != tuple(amounts[axis].tolist()):
                return False
            if graph.shape(pooling.outputs[0])[axis] != written:
                return False
    return True


FIXERS: tuple[OperatorFixer, ...] = (PadMaximum(),)
