"""A factor and a summand for each channel, behind a convolution: in its weights they cost nothing.

A batch norm is that once a model is trained. Exporters fold it into the convolution in front of it, but not where they
have put a RESHAPE or a TRANSPOSE between the two, as PyTorch's do with Conv1d.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import activation, is_constant, is_float, set_activation
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit

# Where the channels that a convolution writes are in its filter.
_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}


class FoldChannelScales(OperatorFixer):
    """The product of the weights with the factor, and the sum of the bias with the summand."""

    name = "fold-channel-scales"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.ELEMENTWISE_OPERAND})
    exactness = Exactness.ROUNDING
    summary = "MUL and ADD of a constant for each channel behind a convolution, as of a batch norm -> in its weights"
    whole = True

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MUL", "ADD"):
            if _factors(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph, found = view.graph, _factors(view, op)
        if found is None:
            raise CannotChange("there is no convolution in front of it any more")
        made, values = found
        weights, bias = graph.constant(made.inputs[1]), graph.constant(made.inputs[2])
        assert bias is not None
        if op.type == "MUL":
            assert weights is not None
            shape = [1] * weights.ndim
            shape[_CHANNELS[made.type]] = len(values)
            made.inputs[1] = graph.add_constant(f"{graph.name(made.inputs[1])}_scaled", weights * values.reshape(shape))
        summed = bias * values if op.type == "MUL" else bias + values
        made.inputs[2] = graph.add_constant(f"{graph.name(op.outputs[0])}/bias", summed)
        set_activation(made, activation(op))
        made.outputs = list(op.outputs)
        graph.remove(op)
        return f"{op.type} in the weights of the convolution in front of it"


def _factors(view: View, op: Op) -> tuple[Op, np.ndarray] | None:
    """The convolution that alone writes for an operator, and the constant with a value for each of its channels."""
    import numpy as np

    graph = view.graph
    if len(op.inputs) != 2 or op.options is None or not is_float(graph, *op.inputs, *op.outputs):
        return None
    constants = [t for t in op.inputs if is_constant(graph, t)]
    value = next((t for t in op.inputs if t not in constants), -1)
    made = view.producer(value, *_CHANNELS)
    if len(constants) != 1 or made is None or graph.shape(value) != graph.shape(op.outputs[0]):
        return None
    if activation(made) != "NONE" or value in graph.outputs or len(graph.consumers(value)) != 1:
        return None
    # A summand changes the bias alone, so that weights may be stored sparse already.
    if len(made.inputs) != 3 or not all(_is_plain(graph, t) for t in made.inputs[2 if op.type == "ADD" else 1 :]):
        return None
    channels = graph.shape(value)[-1]
    values = graph.constant(constants[0])
    if values is None or (values.size > 1 and (values.size, values.shape[-1]) != (channels, channels)):
        return None
    return (made, np.broadcast_to(values.reshape(-1), channels)) if np.isfinite(values).all() else None


def _is_plain(graph: GraphEdit, tensor: int) -> bool:
    """Whether weights or a bias are stored as they are."""
    return is_float(graph, tensor) and graph.producer(tensor) is None and graph.constant(tensor) is not None


FIXERS: tuple[OperatorFixer, ...] = (FoldChannelScales(),)
