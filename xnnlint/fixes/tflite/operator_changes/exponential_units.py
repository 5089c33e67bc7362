"""ELU, SELU and Softplus as exporters from PyTorch write them: a comparison, and a choice of one of two branches.

The delegate takes neither SELECT nor GREATER (`VisitNode` of google-ai-edge/LiteRT tflite/delegates/xnnpack/
xnnpack_delegate.cc), so that they cut the model in parts. TFLite's ELU is x or exp(x) - 1, and gives both branches:
p * x for positive and q * (exp(x) - 1) for negative x is q * ELU(x) + (p - q) * RELU(x). Softplus is
RELU(x) + log(1 + exp(-|x|)) for every x, without a branch for large ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import activation, is_float
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

_SELECTS, _GREATER = ("SELECT", "SELECT_V2"), ("GREATER", "GREATER_EQUAL")
_OPTIONS = {"ADD": "AddOptions", "MUL": "MulOptions", "NEG": "NegOptions", "EXP": "ExpOptions", "ABS": "AbsOptions"}
# For larger x, log(1 + exp(x)) is x in single precision: its relative distance is below exp(-x) / x.
_LINEAR_FROM = 15.0


class _Chosen(OperatorFixer):
    """A SELECT of two branches, of which one is for x above a limit."""

    stage = Stage.NOTATION
    fulfils = frozenset({Condition.DELEGATED, Condition.NCHW_KERNEL, Condition.CLUSTER_END, Condition.BRANCH_END})
    exactness = Exactness.ROUNDING

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type(*_SELECTS):
            if self.fits(view, op):
                yield op

    def fits(self, view: View, op: Op) -> bool:
        raise NotImplementedError


class EluByName(_Chosen):
    """p * x where x is positive, and q * (exp(x) - 1) where it is not."""

    name = "elu-by-name"
    summary = "SELECT of x and exp(x) - 1 by the sign of x, as ELU and SELU are exported -> ELU"

    def fits(self, view: View, op: Op) -> bool:
        return _elu(view, op) is not None

    def apply(self, view: View, op: Op) -> str:
        found = _elu(view, op)
        if found is None:
            raise CannotChange("it is no ELU")
        step = _Steps(view, op)
        if found.negative == 1.0 and found.positive == 1.0:
            step("ELU", found.value, last=True)
        elif found.negative == found.positive:
            step("MUL", step.constant(found.negative), step("ELU", found.value), last=True)
        else:
            below = step("MUL", step.constant(found.negative), step("ELU", found.value))
            rest = step("MUL", step.constant(found.positive - found.negative), step("RELU", found.value))
            step("ADD", below, rest, last=True)
        step.drop_chosen()
        return "compute it with ELU, without comparing and choosing"


class SoftplusInSteps(_Chosen):
    """Of large x what x is, of others log(1 + exp(x))."""

    name = "softplus-in-steps"
    summary = "SELECT of x and log(1 + exp(x)), as Softplus and Mish are exported -> RELU(x) + log(1 + exp(-|x|))"

    def fits(self, view: View, op: Op) -> bool:
        return _softplus(view, op) is not None

    def apply(self, view: View, op: Op) -> str:
        value = _softplus(view, op)
        if value is None:
            raise CannotChange("it is no Softplus")
        step = _Steps(view, op)
        small = step("EXP", step("NEG", step("ABS", value)))
        step("ADD", step("RELU", value), step("LOG", step("ADD", step.constant(1.0), small)), last=True)
        step.drop_chosen()
        return "compute it as RELU(x) + log(1 + exp(-|x|)), without comparing and choosing"


class _Elu(Struct, frozen=True):
    """What is multiplied by what on either side of zero."""

    value: int
    positive: float
    negative: float


def _elu(view: View, op: Op) -> _Elu | None:
    found = _choice(view, op)
    if found is None or found[1] != 0.0:
        return None
    value, _, above, below = found
    upper, lower = _factor(view, above), _factor(view, below)
    if upper is None or lower is None or upper[0] != value:
        return None
    minus_one = _with_constant(view, lower[0], "SUB", "ADD")
    power = view.producer(minus_one[0], "EXP") if minus_one is not None else None
    if minus_one is None or power is None or power.inputs[0] != value:
        return None
    shifted = minus_one[1] if minus_one[2] == "ADD" else -minus_one[1]
    return _Elu(value, upper[1], lower[1]) if shifted == -1.0 else None


def _softplus(view: View, op: Op) -> int | None:
    found = _choice(view, op)
    if found is None or found[1] < _LINEAR_FROM or found[2] != found[0]:
        return None
    value, log = found[0], view.producer(found[3], "LOG")
    plus_one = _with_constant(view, log.inputs[0], "ADD") if log is not None else None
    power = view.producer(plus_one[0], "EXP") if plus_one is not None and plus_one[1] == 1.0 else None
    return value if power is not None and power.inputs[0] == value else None


def _choice(view: View, op: Op) -> tuple[int, float, int, int] | None:
    """x, the limit above which the first branch is taken, and both branches."""
    graph = view.graph
    test = view.producer(op.inputs[0], *_GREATER)
    if test is None or not is_float(graph, *op.inputs[1:], *op.outputs):
        return None
    value, limit = test.inputs[0], _number(view, test.inputs[1])
    same = all(graph.shape(t) == graph.shape(value) for t in (*op.inputs, *op.outputs))
    return (value, limit, op.inputs[1], op.inputs[2]) if limit is not None and same else None


def _factor(view: View, tensor: int) -> tuple[int, float]:
    """What a value is a multiple of, and how many times."""
    product = _with_constant(view, tensor, "MUL")
    return (tensor, 1.0) if product is None else product[:2]


def _with_constant(view: View, tensor: int, *types: str) -> tuple[int, float, str] | None:
    """Of a value that is computed with one number: the other operand, the number, and how."""
    op = view.producer(tensor, *types)
    if op is None or activation(op) != "NONE":
        return None
    for other, constant in ((0, 1), (1, 0)) if op.type != "SUB" else ((0, 1),):
        number = _number(view, op.inputs[constant])
        if number is not None:
            return op.inputs[other], number, op.type
    return None


def _number(view: View, tensor: int) -> float | None:
    values = view.graph.constant(tensor)
    return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else None


class _Steps:
    """Writes operators in front of one, each into a value of its own, the last into that one's output."""

    def __init__(self, view: View, op: Op) -> None:
        self.graph, self.op = view.graph, op

    def __call__(self, type_: str, *inputs: int, last: bool = False) -> int:
        out = self.op.outputs[0] if last else self.graph.add_like(self.op.outputs[0], f"_{type_.lower()}")
        self.graph.insert(type_, inputs, [out], near=self.op, options=_OPTIONS.get(type_, ""))
        return out

    def constant(self, value: float) -> int:
        import numpy as np

        name = f"{self.graph.name(self.op.outputs[0])}/{value:g}"
        return self.graph.add_constant(name, np.full((1, 1, 1, 1), value, np.float32))

    def drop_chosen(self) -> None:
        """Removes the SELECT, and what only it needed."""
        pending = [self.op]
        self.graph.remove(self.op)
        while pending:
            for tensor in pending.pop().inputs:
                op = self.graph.producer(tensor)
                if op is not None and not any(self.graph.consumers(t) or t in self.graph.outputs for t in op.outputs):
                    self.graph.remove(op)
                    pending.append(op)


FIXERS: tuple[OperatorFixer, ...] = (EluByName(), SoftplusInSteps())
