"""Constant operands of ADD and MUL: four dimensions, and in first place. SUB of a constant is ADD of its negation."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import activation, is_constant, is_float, weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.object_api import number
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.elementwise_operand import RANK

COMMUTATIVE = ("ADD", "MUL")


class ConstantFirst(OperatorFixer):
    """The runtime looks for a vector in the first operand only, and for four dimensions in both."""

    name = "constant-first"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.ELEMENTWISE_OPERAND})
    summary = "constant operands of ADD and MUL -> first, of shape [1, 1, 1, C] or [1, 1, 1, 1]"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type(*COMMUTATIVE):
            if (
                len(op.inputs) == 2
                and is_float(graph, *op.inputs, *op.outputs)
                and len(graph.shape(op.outputs[0])) == RANK
            ):
                constants = [is_constant(graph, t) for t in op.inputs]
                if constants == [False, True] or (
                    constants == [True, False] and len(graph.shape(op.inputs[0])) != RANK
                ):
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        slot = 1 if is_constant(graph, op.inputs[1]) else 0
        constant, value = op.inputs[slot], op.inputs[1 - slot]
        shape = graph.shape(constant)
        wider = (1,) * (RANK - len(shape)) + shape
        if len(graph.shape(value)) != RANK or any(c > v for c, v in zip(wider, graph.shape(value), strict=True)):
            raise CannotChange("the constant is larger than the value that it meets")
        if len(shape) != RANK:
            constant = _reshaped(view, constant, wider)
        op.inputs = [constant, value]
        order = "" if slot == 0 else " first"
        return f"give the constant the shape {list(wider)}{order and ' and take it first'}"


class SubtractByAdding(OperatorFixer):
    """x - c is x + (-c), bit for bit; c - x is (-x) + c."""

    name = "subtract-by-adding"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.BINARY_OPERATOR, Condition.ELEMENTWISE_OPERAND})
    summary = "SUB -> ADD of the negation (of a constant, or by NEG)"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("SUB"):
            if (
                len(op.inputs) == 2
                and is_float(graph, *op.inputs, *op.outputs)
                and len(graph.shape(op.outputs[0])) == RANK
            ):
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        fused = activation(op)
        first, second = op.inputs
        values = weights(graph, second) if is_constant(graph, second) else None
        if is_constant(graph, second) and values is None:
            raise CannotChange("its constant cannot be read")
        if values is not None:
            negated = graph.add_constant(f"{graph.name(second)}_negated", -values)
            text = "add the negated constant instead"
        else:
            negated = graph.add_like(second, "_negated")
            graph.insert("NEG", [second], [negated], near=op, options="NegOptions")
            text = "negate with NEG, and add"
        op.inputs = [first, negated]
        graph.retype(op, "ADD", options="AddOptions", fusedActivationFunction=number("ActivationFunctionType", fused))
        return text


class DivideByMultiplying(OperatorFixer):
    """x / c is x * (1 / c), but for rounding."""

    name = "divide-by-multiplying"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.BINARY_OPERATOR, Condition.ELEMENTWISE_OPERAND})
    exactness = Exactness.ROUNDING
    summary = "DIV by a constant -> MUL by its reciprocal"

    def sites(self, view: View) -> Iterable[Op]:
        import numpy as np

        graph = view.graph
        for op in view.of_type("DIV"):
            if (
                len(op.inputs) == 2
                and is_float(graph, *op.inputs, *op.outputs)
                and len(graph.shape(op.outputs[0])) == RANK
            ):
                values = weights(graph, op.inputs[1]) if is_constant(graph, op.inputs[1]) else None
                if values is not None and values.all() and np.isfinite(1 / values.astype(np.float32)).all():
                    yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        fused = activation(op)
        values = weights(graph, op.inputs[1])
        assert values is not None
        reciprocal = np.asarray(1 / values.astype(np.float64)).astype(np.float32).reshape(values.shape)
        op.inputs = [op.inputs[0], graph.add_constant(f"{graph.name(op.inputs[1])}_reciprocal", reciprocal)]
        graph.retype(op, "MUL", options="MulOptions", fusedActivationFunction=number("ActivationFunctionType", fused))
        return "multiply by the reciprocal of the constant instead"


class SquareByMultiplying(OperatorFixer):
    """(a - b)^2 step by step, in operators that run in NCHW."""

    name = "squared-difference-in-steps"
    stage = Stage.CONSTANTS
    fulfils = frozenset({Condition.BINARY_OPERATOR})
    summary = "SQUARED_DIFFERENCE -> ADD of the negation, then SQUARE"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("SQUARED_DIFFERENCE"):
            if is_float(graph, *op.inputs, *op.outputs) and len(graph.shape(op.outputs[0])) == RANK:
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        difference, out = graph.displace(op, "_difference")
        graph.insert("SQUARE", [difference], [out], near=op, after=True, options="SquareOptions")
        negated = graph.add_like(op.inputs[1], "_negated")
        graph.insert("NEG", [op.inputs[1]], [negated], near=op, options="NegOptions")
        op.inputs = [op.inputs[0], negated]
        graph.retype(op, "ADD", options="AddOptions")
        return "add the negation, and square the sum"


def _reshaped(view: View, tensor: int, shape: tuple[int, ...]) -> int:
    """A constant with other dimensions and the same bytes."""
    graph = view.graph
    values = weights(graph, tensor)
    if values is not None and graph.producer(tensor) is not None:
        return graph.add_constant(f"{graph.name(tensor)}_4d", values.reshape(shape))
    made = graph.add_like(tensor, "_4d", shape)
    graph.tensors[made].buffer = graph.tensors[tensor].buffer
    return made


FIXERS: tuple[OperatorFixer, ...] = (SubtractByAdding(), DivideByMultiplying(), SquareByMultiplying(), ConstantFirst())
