"""Operators that the delegate refuses, or that have no NCHW kernel, in other words; and those that do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import activation, is_constant, is_float, set_activation, weights
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.map_pooling import add_reshape
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

RANK = 4


class RemoveNothing(OperatorFixer):
    """An operator that gives what it is given is not free: the runtime cannot run it in NCHW."""

    name = "remove-identity"
    stage = Stage.NOTATION
    fulfils = frozenset(
        {Condition.BINARY_OPERATOR, Condition.NCHW_KERNEL, Condition.OPERANDS_DIFFER, Condition.DELEGATED}
    )
    summary = "RESHAPE to the same shape, PAD of nothing, TRANSPOSE to the same order, MAXIMUM(x, x) -> removed"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("RESHAPE", "PAD", "TRANSPOSE", "MAXIMUM", "MINIMUM", "CONCATENATION"):
            if op.outputs[0] not in graph.outputs and graph.consumers(op.outputs[0]) and _does_nothing(view, op):
                yield op

    def apply(self, view: View, op: Op) -> str:
        view.graph.rewire(op.outputs[0], op.inputs[0])
        view.graph.remove(op)
        return f"remove {op.type}, which changes nothing"


class MergeReshapes(OperatorFixer):
    """The last of several decides."""

    name = "merge-reshapes"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.DELEGATED})
    summary = "RESHAPE of a RESHAPE, TRANSPOSE of a TRANSPOSE -> one"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("RESHAPE", "TRANSPOSE"):
            first = view.graph.producer(op.inputs[0])
            told = len(op.inputs) > 1 and view.graph.constant(op.inputs[1]) is not None
            if first is not None and first.type == op.type and told:
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        first = graph.producer(op.inputs[0])
        assert first is not None
        if op.type == "TRANSPOSE":
            inner, outer = graph.constant(first.inputs[1]), graph.constant(op.inputs[1])
            if inner is None or outer is None:
                raise CannotChange("its order is computed")
            op.inputs[1] = graph.add_constant(f"{graph.name(op.inputs[1])}_merged", inner[outer].astype(np.int32))
        op.inputs[0] = first.inputs[0]
        graph.remove_if_unread(first)
        return f"let one {op.type} do what two did"


class ReshapeInstead(OperatorFixer):
    """The delegate takes neither SQUEEZE nor EXPAND_DIMS, and they cut the model in parts."""

    name = "reshape-instead"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.DELEGATED})
    summary = "SQUEEZE and EXPAND_DIMS -> RESHAPE"
    any_size = True

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("SQUEEZE", "EXPAND_DIMS"):
            dynamic = sum(d < 0 for d in graph.signature(op.outputs[0]))
            if graph.dtype(op.inputs[0]) == "FLOAT32" and dynamic <= 1 and graph.shape(op.outputs[0]):
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph, was = view.graph, op.type
        add_reshape(view, op, op.inputs[0], op.outputs[0])
        graph.remove(op)
        return f"RESHAPE instead of {was}"


class ZeroPadding(OperatorFixer):
    """PADV2 of zeros is PAD, and paddings fit into int32."""

    name = "plain-pad"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.DELEGATED})
    summary = "PADV2 of zeros, and int64 paddings -> PAD with int32"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("PAD", "PADV2"):
            if not is_float(graph, op.inputs[0]) or graph.constant(op.inputs[1]) is None:
                continue
            filled = graph.constant(op.inputs[2]) if op.type == "PADV2" and len(op.inputs) > 2 else None
            of_zeros = op.type == "PAD" or (filled is not None and filled.dtype.kind == "f" and not filled.any())
            if of_zeros and (op.type == "PADV2" or graph.dtype(op.inputs[1]) == "INT64"):
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph, was = view.graph, op.type
        amounts = graph.constant(op.inputs[1])
        assert amounts is not None
        if amounts.dtype != np.int32:
            op.inputs[1] = graph.add_constant(f"{graph.name(op.inputs[1])}_int32", amounts.astype(np.int32))
        op.inputs = op.inputs[:2]
        graph.retype(op, "PAD", options="PadOptions")
        return "PAD instead, which pads with zeros" if was == "PADV2" else "give the paddings as int32"


class DropIgnoredActivation(OperatorFixer):
    """TFLite's own kernels do not apply a fused TANH, and the delegate refuses to (the activation range of both is that
    of `CalculateActivationRange` in LiteRT tflite/kernels/kernel_util.h, which knows only clamps)."""

    name = "drop-ignored-activation"
    stage = Stage.NOTATION
    fulfils = frozenset({Condition.DELEGATED})
    summary = "fused TANH or SIGN_BIT, which TFLite does not apply -> none"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            if (
                op.options is not None
                and activation(op) in ("TANH", "SIGN_BIT")
                and is_float(view.graph, op.outputs[0])
            ):
                yield op

    def apply(self, view: View, op: Op) -> str:
        was = activation(op)
        set_activation(op, "NONE")
        return f"drop the fused {was}, which TFLite does not apply"


class InSteps(OperatorFixer):
    """One operator in several that have NCHW kernels.

    Args:
        applies: whether it fits an operator.
        steps: writes the steps to the output of the operator, in front of it, and says what was done.
    """

    stage = Stage.NOTATION

    def __init__(
        self,
        name: str,
        types: Sequence[str],
        summary: str,
        applies: Callable[[View, Op], bool],
        steps: Callable[[View, Op], str],
        fulfils: Iterable[Condition],
        exactness: Exactness = Exactness.EXACT,
    ) -> None:
        self.name, self.types, self.summary, self.exactness = name, tuple(types), summary, exactness
        self.fulfils = frozenset(fulfils)
        self._applies, self._steps = applies, steps

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type(*self.types):
            if is_float(graph, op.inputs[0], op.outputs[0]) and self._applies(view, op):
                yield op

    def apply(self, view: View, op: Op) -> str:
        text = self._steps(view, op)
        view.graph.remove(op)
        return text


class _Steps:
    """Writes operators in front of one, each into a value of its own, the last into that one's output."""

    def __init__(self, view: View, op: Op) -> None:
        self.graph, self.op = view.graph, op

    def __call__(self, type_: str, *inputs: int, last: bool = False) -> int:
        options = {"ADD": "AddOptions", "MUL": "MulOptions", "NEG": "NegOptions", "SQUARE": "SquareOptions"}
        out = self.op.outputs[0] if last else self.graph.add_like(self.op.outputs[0], f"_{type_.lower()}")
        self.graph.insert(type_, inputs, [out], near=self.op, options=options.get(type_, ""))
        return out

    def constant(self, values: object, name: str) -> int:
        """A constant of four dimensions."""
        import numpy as np

        array = np.asarray(values, np.float32)
        array = array.reshape((1,) * (RANK - array.ndim) + array.shape)
        return self.graph.add_constant(f"{self.graph.name(self.op.outputs[0])}/{name}", array)


def _prelu(view: View, op: Op) -> str:
    """relu(x) + (-alpha) * relu(-x); one of the two terms is always zero."""
    slopes = weights(view.graph, op.inputs[1])
    assert slopes is not None
    step, x = _Steps(view, op), op.inputs[0]
    negative = step("MUL", step.constant(-slopes, "negated_slopes"), step("RELU", step("NEG", x)))
    step("ADD", step("RELU", x), negative, last=True)
    return "compute PRELU as RELU(x) + (-slope) * RELU(-x)"


def _has_slope_vector(view: View, op: Op) -> bool:
    slopes = weights(view.graph, op.inputs[1]) if is_constant(view.graph, op.inputs[1]) else None
    return (
        slopes is not None and slopes.ndim <= RANK and sum(d > 1 for d in slopes.shape) <= 1 and _rank(view, op) == RANK
    )


def _extreme(view: View, op: Op) -> str:
    """max(x, y) = y + relu(x - y); min(x, y) = y - relu(y - x)."""
    graph = view.graph
    step = _Steps(view, op)
    constant = next((t for t in op.inputs if is_constant(graph, t)), None)
    x = next(t for t in op.inputs if t != constant)
    if constant is not None:
        values = weights(graph, constant)
        assert values is not None
        y, minus_y = step.constant(values, "limit"), step.constant(-values, "negated_limit")
    else:
        y = op.inputs[1]
        minus_y = step("NEG", y) if op.type == "MAXIMUM" else -1
    if op.type == "MAXIMUM":
        step("ADD", y, step("RELU", step("ADD", minus_y, x)), last=True)
        return "compute MAXIMUM(x, y) as y + RELU(x - y)"
    step("ADD", y, step("NEG", step("RELU", step("ADD", y, step("NEG", x)))), last=True)
    return "compute MINIMUM(x, y) as y - RELU(y - x)"


def _has_extreme(view: View, op: Op) -> bool:
    graph = view.graph
    constants = [t for t in op.inputs if is_constant(graph, t)]
    if len(op.inputs) != 2 or len(constants) > 1 or _rank(view, op) != RANK or not is_float(graph, *op.inputs):
        return False
    if not constants:
        return op.inputs[0] != op.inputs[1] and all(graph.shape(t) == graph.shape(op.outputs[0]) for t in op.inputs)
    values = weights(graph, constants[0])
    # Against a scalar it is a clamp, which the runtime knows.
    return values is not None and sum(d > 1 for d in values.shape) == 1


def _leaky_zero(view: View, op: Op) -> str:
    _Steps(view, op)("RELU", op.inputs[0], last=True)
    return "RELU instead of LEAKY_RELU without a slope"


def _zero_to_one(view: View, op: Op) -> str:
    step = _Steps(view, op)
    step("RELU_N1_TO_1", step("RELU", op.inputs[0]), last=True)
    return "RELU and RELU_N1_TO_1 instead of RELU_0_TO_1"


def _softmax(view: View, op: Op) -> str:
    graph = view.graph
    beta = op.options.beta
    step = _Steps(view, op)
    rank = _rank(view, op)
    import numpy as np

    scale = graph.add_constant(f"{graph.name(op.outputs[0])}/beta", np.full((1,) * rank, beta, np.float32))
    scaled = step("MUL", scale, op.inputs[0])
    graph.insert("SOFTMAX", [scaled], op.outputs, near=op, options="SoftmaxOptions", beta=1.0)
    return f"multiply by {beta:g} before SOFTMAX"


def _power(view: View, op: Op) -> str:
    step = _Steps(view, op)
    kind = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}[_exponent(view, op) or 0]
    step(kind, op.inputs[0], last=True)
    return f"{kind} instead of POW"


def _exponent(view: View, op: Op) -> float | None:
    values = (
        weights(view.graph, op.inputs[1]) if len(op.inputs) == 2 and is_constant(view.graph, op.inputs[1]) else None
    )
    return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else None


def _rank(view: View, op: Op) -> int:
    return len(view.graph.shape(op.outputs[0]))


def _does_nothing(view: View, op: Op) -> bool:
    graph = view.graph
    source, target = op.inputs[0], op.outputs[0]
    if graph.shape(source) != graph.shape(target) or graph.dtype(source) != "FLOAT32" or is_constant(graph, source):
        return False
    if graph.signature(source) != graph.signature(target):
        return False
    if op.type == "RESHAPE":
        # Behind a pooling that keeps its dimensions it puts a shape right that the runtime gets wrong.
        producer = graph.producer(source)
        return producer is None or producer.type not in ("MEAN", "SUM")
    if op.type == "TRANSPOSE":
        order = graph.constant(op.inputs[1])
        return order is not None and order.tolist() == list(range(len(order)))
    if op.type in ("MAXIMUM", "MINIMUM"):
        return op.inputs[0] == op.inputs[1]
    if op.type == "CONCATENATION":
        return len(op.inputs) == 1 and activation(op) == "NONE"
    return op.type == "PAD"


FIXERS: tuple[OperatorFixer, ...] = (
    ReshapeInstead(),
    MergeReshapes(),
    RemoveNothing(),
    ZeroPadding(),
    DropIgnoredActivation(),
    InSteps(
        "prelu-in-steps",
        ["PRELU"],
        "PRELU -> RELU(x) + (-slope) * RELU(-x)",
        _has_slope_vector,
        _prelu,
        [Condition.BINARY_OPERATOR, Condition.DELEGATED],
    ),
    InSteps(
        "extreme-in-steps",
        ["MAXIMUM", "MINIMUM"],
        "MAXIMUM and MINIMUM -> differences and RELU",
        _has_extreme,
        _extreme,
        [Condition.BINARY_OPERATOR],
        Exactness.ROUNDING,
    ),
    InSteps(
        "plain-relu",
        ["LEAKY_RELU"],
        "LEAKY_RELU of slope 0 -> RELU",
        lambda view, op: op.options is None or op.options.alpha == 0,
        _leaky_zero,
        [Condition.DELEGATED, Condition.UNARY_OPERATOR],
    ),
    InSteps(
        "clamp-in-steps",
        ["RELU_0_TO_1"],
        "RELU_0_TO_1 -> RELU and RELU_N1_TO_1",
        lambda view, op: True,
        _zero_to_one,
        [Condition.DELEGATED],
    ),
    InSteps(
        "softmax-of-product",
        ["SOFTMAX"],
        "SOFTMAX with a beta other than 1 -> MUL and SOFTMAX",
        lambda view, op: op.options is not None and op.options.beta not in (0.0, 1.0),
        _softmax,
        [Condition.DELEGATED],
        Exactness.ROUNDING,
    ),
    InSteps(
        "power-by-name",
        ["POW"],
        "POW of 2 or 0.5 -> SQUARE, SQRT",
        lambda view, op: _exponent(view, op) in (2.0, 0.5, -0.5),
        _power,
        [Condition.DELEGATED, Condition.BINARY_OPERATOR],
        Exactness.ROUNDING,
    ),
)
