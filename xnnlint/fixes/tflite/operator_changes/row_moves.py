"""Operators on a sequence, between a RESHAPE from a map of one row and one back, as Conv1d is exported.

TFLite convolves maps only, so that an exporter puts a RESHAPE in front of each one-dimensional convolution and one
behind it, PyTorch's a TRANSPOSE, too. What lies between two of them works element by element, or along axes that the
map has, too: there it gives the same numbers, and both are gone. What is left of PyTorch's then is what
`transpose_moves` knows. Keras's EXPAND_DIMS and SQUEEZE are RESHAPE by then (`notation`).
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_float
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.axis_names import pooled_axes, pools
from xnnlint.fixes.tflite.operator_changes.map_pooling import add_reshape
from xnnlint.fixes.tflite.operator_changes.moved_regions import region_at, regions
from xnnlint.fixes.tflite.operator_changes.transpose_moves import FULFILS
from xnnlint.fixes.tflite.operator_changes.value_forms import ROWS, Form
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import square_strides
from xnnlint.xnnpack.conditions.condition import Condition

_SAVED = attrgetter("saved")


class ComputeOnRows(OperatorFixer):
    """Everything that hangs together between such operators, at once."""

    name = "compute-on-rows"
    stage = Stage.NOTATION
    fulfils = FULFILS | {Condition.ELEMENTWISE_OPERAND, Condition.UNARY_OPERATOR}
    summary = (
        "ADD, CONCATENATION, activations and the like on sequences, between RESHAPE from a map of one row and back, as "
        "of Conv1d -> on the map, without them"
    )

    def sites(self, view: View) -> Iterable[Op]:
        taken = set[str]()
        for region in sorted((r for form in ROWS for r in regions(view, form)), key=_SAVED, reverse=True):
            operators = {op.uid for op in region.operators}
            # What is neither a row nor a column for sure is what the larger part is.
            if taken.isdisjoint(operators):
                taken |= operators
                yield region.operators[0]

    def apply(self, view: View, op: Op) -> str:
        found = [region for form in ROWS if (region := region_at(view, form, op)) is not None]
        if not found:
            raise CannotChange("it is not between a RESHAPE from a map of one row and one back")
        region = max(found, key=_SAVED)
        types = region.types
        region.move(view)
        return f"compute {types} on the map of one row, without the RESHAPE on both sides"


class PoolRows(OperatorFixer):
    """A pooling over the whole sequence is one over height and width."""

    name = "pool-rows"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.BRANCH_END, Condition.CLUSTER_END, Condition.POOLING_AXES})
    summary = "MEAN over a sequence behind a RESHAPE from a map of one row -> MEAN over height and width of the map"

    def sites(self, view: View) -> Iterable[Op]:
        return [op for op in view.of_type("MEAN", "SUM") if _form(view, op) is not None]

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, form, reshape = view.graph, _form(view, op), view.producer(op.inputs[0], "RESHAPE")
        if form is None or reshape is None:
            raise CannotChange("it does not pool a map of one row")
        axes = pooled_axes(graph, op, form)
        if op.options.keepDims:
            new, old = graph.displace(op, "_kept", form.shape(graph.shape(op.outputs[0])))
            add_reshape(view, op, new, old)
        op.inputs = [reshape.inputs[0], graph.add_constant("reduction_axes", np.array(axes, np.int32))]
        graph.remove_if_unread(reshape)
        return "pool the map of one row in front of the RESHAPE"


class SquareStride(OperatorFixer):
    """Along an axis of a single pixel there is nothing to step over."""

    name = "square-stride"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.STEM, Condition.DEPTHWISE, Condition.POINTWISE})
    summary = "convolutions of a stride on maps of one row, as of Conv1d -> the same stride along both axes"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D", "DEPTHWISE_CONV_2D"):
            if op.options is None or not is_float(view.graph, op.inputs[0], op.outputs[0]):
                continue
            if _strides(view, op) != (op.options.strideH, op.options.strideW):
                yield op

    def apply(self, view: View, op: Op) -> str:
        op.options.strideH, op.options.strideW = _strides(view, op)
        return f"step by {op.options.strideW} along both axes, of which one has a single pixel"


def _form(view: View, op: Op) -> Form | None:
    """That of the map behind whose RESHAPE an operator pools the whole of it."""
    reshape = view.producer(op.inputs[0], "RESHAPE")
    if reshape is None or op.options is None or not is_float(view.graph, op.inputs[0], op.outputs[0]):
        return None
    return next((f for f in ROWS if f.enters(view.graph, reshape) and pools(view.graph, op, f)), None)


def _strides(view: View, op: Op) -> tuple[int, int]:
    graph, strides = view.graph, (op.options.strideH, op.options.strideW)
    sizes, window = (graph.shape(op.inputs[slot])[1:3] for slot in (0, 1))
    if len(sizes) != 2 or len(window) != 2 or min(graph.signature(op.inputs[0])[1:3]) < 0:
        return strides
    return square_strides(sizes, (window[0], window[1]), strides)


FIXERS: tuple[OperatorFixer, ...] = (ComputeOnRows(), PoolRows(), SquareStride())
