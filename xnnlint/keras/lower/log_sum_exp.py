"""A softmax along several axes: exp(x - reduce_logsumexp(x)), as Keras has it.

Sources: `Softmax.call` of tf_keras/src/layers/activation/softmax.py and keras/src/layers/activations/softmax.py;
`reduce_logsumexp` of tensorflow/tensorflow python/ops/math_ops.py. Of tensors with more than four axes the converter
broadcasts every operand first where the batch is dynamic.
"""

from __future__ import annotations

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.layer_scope import Scope, shape_of
from xnnlint.keras.lower.program import Step, Value, elements
from xnnlint.keras.lower.shape_layers import reduce

_PLAIN = {"fused_activation_function": "NONE"}
_AT = "ReduceLogSumExp"
# More would be made room for by a number in a file.
_MOST = 1 << 24


def softmax_of_axes(scope: Scope, x: Value, axes: list[int]) -> Value:
    """exp(x - log(sum(exp(x)))), with the largest taken away first where it is finite."""
    top = _finite(scope, reduce(scope, x, "REDUCE_MAX", axes, True, f"{_AT}/Max"))
    less = scope.op("SUB", [x, top], x.shape, f"{_AT}/Sub", dict(_PLAIN))
    total = reduce(scope, scope.op("EXP", [less], x.shape, f"{_AT}/Exp"), "SUM", axes, True, f"{_AT}/Sum")
    logarithm = scope.op("LOG", [total], total.shape, f"{_AT}/Log")
    logarithm = scope.op("ADD", [logarithm, top], total.shape, _AT, dict(_PLAIN))
    return scope.op("EXP", [scope.op("SUB", [x, logarithm], x.shape, "sub", dict(_PLAIN))], x.shape, "Exp")


def _finite(scope: Scope, x: Value) -> Value:
    """x where x - x is 0, else 0."""
    test, choice = scope.step(f"{_AT}/IsFinite"), scope.step(f"{_AT}/SelectV2")
    zero = scope.constant(0.0, f"{_AT}/SelectV2/e")
    if len(shape_of(x)) <= 4:
        less = scope.op("SUB", [x, x], x.shape, test, dict(_PLAIN))
        is_finite = scope.op("EQUAL", [less, zero], x.shape, test, {}, "BOOL")
        return scope.op("SELECT_V2", [is_finite, x, zero], x.shape, choice)
    rank = len(shape_of(x))
    if x.is_static:
        if (count := elements(shape_of(x)) or 0) > _MOST:
            raise NotSupported(f"it is a softmax of {count:,} rows")
        zeros = scope.constant(np.zeros([n or 0 for n in shape_of(x)], np.float32), f"{_AT}/SelectV2/e")
        less = scope.op("SUB", [x, x], x.shape, test, dict(_PLAIN))
        is_finite = scope.op("EQUAL", [less, zeros], x.shape, test, {}, "BOOL")
        return scope.op("SELECT", [is_finite, x, zeros], x.shape, choice)
    nothing = scope.constant([], f"{_AT}/scalar", "INT64")

    def whole(value: Value, step: Step) -> Value:
        return scope.op("SHAPE", [value], (rank,), step, {"out_type": "INT64"}, "INT64")

    def shared(one: Value, other: Value, step: Step) -> Value:
        return scope.op("BROADCAST_ARGS", [one, other], (rank,), step, {}, "INT64")

    def spread(value: Value, to: Value, step: Step) -> Value:
        return scope.op("BROADCAST_TO", [value, to], x.shape, step, {}, value.dtype)

    size = whole(x, test)
    wide = spread(x, shared(size, size, test), test)
    less = scope.op("SUB", [wide, wide], x.shape, test, dict(_PLAIN))
    target = shared(whole(less, test), nothing, test)
    is_finite = scope.op("EQUAL", [spread(less, target, test), spread(zero, target, test)], x.shape, test, {}, "BOOL")
    target = shared(size, shared(whole(is_finite, choice), nothing, choice), choice)
    return scope.op("SELECT_V2", [spread(v, target, choice) for v in (is_finite, x, zero)], x.shape, choice)
