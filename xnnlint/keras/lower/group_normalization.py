"""GroupNormalization: a map of one more axis, of which groups of channels are normalized together.

Keras 2 takes weighted moments with weights of one, which the converter folds only where the batch is fixed; where it is
dynamic, some fifty operators stay (`GroupNormalization.call` of keras-team/tf-keras, `weighted_moments` and
`div_no_nan` of tensorflow/tensorflow python/ops/nn_impl.py, LowerDivNoNan of the converter).
"""

from __future__ import annotations

import math

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.layer_scope import Scope, axis_of, shape_of
from xnnlint.keras.lower.program import Shape, Value
from xnnlint.keras.lower.registry import layer
from xnnlint.keras.lower.shape_layers import batch_and, reduce
from xnnlint.keras.lower.weighted_layers import reshaped

_PLAIN = {"fused_activation_function": "NONE"}
_MOMENTS = "weighted_moments"


@layer("GroupNormalization")
def group_normalization(scope: Scope, x: Value) -> Value:
    """GroupNormalization along the last axis, of a map whose sizes are known but for the batch."""
    shape = shape_of(x)
    if axis_of(scope.config.whole("axis", default=-1), len(shape)) != len(shape) - 1 or len(shape) < 2:
        raise NotSupported("it normalizes groups of another axis than the last one")
    sizes = [n for n in shape[1:] if n is not None]
    if len(sizes) != len(shape) - 1:
        raise NotSupported("it normalizes a map of unknown size")
    groups = scope.config.whole("groups", default=32, least=-1)
    groups = sizes[-1] if groups == -1 else groups
    if not groups or sizes[-1] % groups:
        raise NotSupported(f"it has {groups} groups of {sizes[-1]} channels")
    inner = [*sizes[:-1], groups, sizes[-1] // groups]
    return _of_keras_3(scope, x, inner) if scope.is_keras_3 else _of_keras_2(scope, x, inner)


def _of_keras_3(scope: Scope, x: Value, inner: list[int]) -> Value:
    """`call` of keras/src/layers/normalization/group_normalization.py: x * factor + (beta - mean * factor)."""
    batch, rank = shape_of(x)[0], len(inner) + 1
    axes, out, rows = [*range(1, rank - 2), rank - 1], (batch, *inner), _kept(batch, inner)
    wide = (*(1 for _ in inner[:-1]), *inner[-2:])
    y = scope.op("RESHAPE", [x, scope.integers([-1, *inner], "Reshape/shape")], out, "Reshape")
    mean = reduce(scope, y, "MEAN", axes, True, "moments/mean")
    variance = reduce(scope, _squared_distance(scope, y, mean, "moments"), "MEAN", axes, True, "moments/variance")
    epsilon = scope.constant(scope.config.real("epsilon", default=1e-3), "add/y")
    factor = scope.op("RSQRT", [scope.op("ADD", [variance, epsilon], rows, "add", dict(_PLAIN))], rows, "Rsqrt")
    if scope.config.flag("scale", default=True):
        gamma = _vector(scope, "gamma", wide, 1.0)
        factor = scope.op("MUL", [factor, gamma], (batch, *wide[1:]), "mul", dict(_PLAIN))
    less = scope.op("MUL", [scope.op("NEG", [mean], rows, "Neg"), factor], factor.shape, "mul", dict(_PLAIN))
    if scope.config.flag("center", default=True):
        beta = _vector(scope, "beta", wide, 0.0)
        less = scope.op("ADD", [less, beta], (batch, *wide[1:]), "add", dict(_PLAIN))
    y = scope.op("MUL", [y, factor], out, "mul", dict(_PLAIN))
    y = scope.op("ADD", [y, less], out, "add", dict(_PLAIN))
    return scope.op("RESHAPE", [y, _whole_shape(scope, x, "Reshape")], shape_of(x), "Reshape")


def _of_keras_2(scope: Scope, x: Value, inner: list[int]) -> Value:
    batch, rank = shape_of(x)[0], len(inner) + 1
    axes = [*range(1, rank - 2), rank - 1]
    out, rows = (batch, *inner), _kept(batch, inner)
    y = scope.op("RESHAPE", [x, batch_and(scope, x, inner, "stack")], out, "Reshape")
    if batch is None:
        mean, variance = _weighted_moments(scope, x, y, axes)
    else:
        count = math.prod(inner) // inner[-2]
        mean = _mean(scope, y, axes, count, "weighted_input_sum", "div_no_nan")
        variance = _mean(scope, _squared_distance(scope, y, mean), axes, count, "weighted_distsq", "div_no_nan_1")
    epsilon = scope.constant(scope.config.real("epsilon", default=1e-3), "batchnorm/add/y")
    factor = scope.op("ADD", [variance, epsilon], rows, "batchnorm/add", dict(_PLAIN))
    factor = scope.op("RSQRT", [factor], rows, "batchnorm/Rsqrt")
    scaled, centred = scope.config.flag("scale", default=True), scope.config.flag("center", default=True)
    wide = (*(1 for _ in inner[:-1]), *inner[-2:])
    products = iter(("batchnorm/mul", "batchnorm/mul_1", "batchnorm/mul_2"))
    if scaled:
        gamma = _vector(scope, "gamma", wide, 1.0)
        factor = scope.op("MUL", [factor, gamma], (batch, *wide[1:]), next(products), dict(_PLAIN))
    y = scope.op("MUL", [y, factor], out, next(products), dict(_PLAIN))
    if not centred:
        mean = scope.op("NEG", [mean], rows, "batchnorm/Neg")
    less = scope.op("MUL", [mean, factor], factor.shape, next(products), dict(_PLAIN))
    if centred:
        less = scope.op(
            "SUB", [_vector(scope, "beta", wide, 0.0), less], (batch, *wide[1:]), "batchnorm/sub", dict(_PLAIN)
        )
    y = scope.op("ADD", [y, less], out, "batchnorm/add_1", dict(_PLAIN))
    at = f"Reshape_{2 + scaled + centred}"
    return scope.op("RESHAPE", [y, _whole_shape(scope, x, at)], shape_of(x), at)


def _kept(batch: int | None, inner: list[int]) -> Shape:
    """The shape of what is left of each group."""
    return (batch, *(1 for _ in inner[:-2]), inner[-2], 1)


def _vector(scope: Scope, name: str, wide: tuple[int, ...], default: float) -> Value:
    value = scope.weight(name, (math.prod(wide),), f"{name}/ReadVariableOp", default=default)
    return reshaped(value, wide)


def _whole_shape(scope: Scope, x: Value, at: str) -> Value:
    shape = shape_of(x)
    if None not in shape:
        return scope.integers(shape, f"{at}/shape")
    return scope.op("SHAPE", [x], (len(shape),), "Shape", {"out_type": "INT32"}, "INT32")


def _squared_distance(scope: Scope, y: Value, mean: Value, at: str = _MOMENTS) -> Value:
    """Of five dimensions, which SQUARED_DIFFERENCE does not broadcast."""
    step = scope.step(f"{at}/SquaredDifference")
    difference = scope.op("SUB", [y, mean], y.shape, step, dict(_PLAIN))
    return scope.op("SQUARE", [difference], y.shape, step)


def _mean(scope: Scope, y: Value, axes: list[int], count: int, at: str, division: str) -> Value:
    total = reduce(scope, y, "SUM", axes, True, f"{_MOMENTS}/{at}")
    share = scope.constant(1 / count, f"{_MOMENTS}/{division}/y")
    return scope.op("MUL", [total, share], total.shape, f"{_MOMENTS}/{division}", dict(_PLAIN))


def _weighted_moments(scope: Scope, x: Value, y: Value, axes: list[int]) -> tuple[Value, Value]:
    """Mean and variance of the groups, with a weight of one for each element that is computed at run time."""
    zeros = scope.op("ZEROS_LIKE", [y], y.shape, f"{_MOMENTS}/zeros_like")
    step = scope.step("ones_like")
    whole = scope.op("SHAPE", [x], (len(shape_of(x)),), step, {"out_type": "INT64"}, "INT64")
    ones = scope.op("BROADCAST_TO", [scope.constant(1.0, "ones_like/one"), whole], x.shape, step)
    target = batch_and(
        scope, ones, [n for n in shape_of(y)[1:] if n is not None], "stack_1", "strided_slice_5", "Shape_2"
    )
    ones = scope.op("RESHAPE", [ones, target], y.shape, "Reshape_1")
    weights = scope.op("ADD", [ones, zeros], y.shape, f"{_MOMENTS}/add", dict(_PLAIN))
    total = reduce(scope, weights, "SUM", axes, True, f"{_MOMENTS}/sum_of_weights")
    weighted = scope.op("MUL", [ones, y], y.shape, f"{_MOMENTS}/mul", dict(_PLAIN))
    mean = _divide(
        scope, reduce(scope, weighted, "SUM", axes, True, f"{_MOMENTS}/weighted_input_sum"), total, "div_no_nan"
    )
    distance = scope.op("MUL", [ones, _squared_distance(scope, y, mean)], y.shape, f"{_MOMENTS}/mul_1", dict(_PLAIN))
    distance = reduce(scope, distance, "SUM", axes, True, f"{_MOMENTS}/weighted_distsq")
    return mean, _divide(scope, distance, total, "div_no_nan_1")


def _divide(scope: Scope, x: Value, y: Value, at: str) -> Value:
    """x / y, and 0 where y is 0, with every operand broadcast first."""
    step, shape, rank = scope.step(f"{_MOMENTS}/{at}"), x.shape, len(shape_of(x))
    zero, nothing = scope.constant(0.0, f"{at}/zero"), scope.constant([], f"{at}/scalar", "INT64")

    def shape_at(*parts: Value) -> Value:
        return scope.op("BROADCAST_ARGS", list(parts), (rank,), step, {}, "INT64")

    def spread(value: Value, to: Value, dtype: str = "FLOAT32") -> Value:
        return scope.op("BROADCAST_TO", [value, to], shape, step, {}, dtype)

    of_y = scope.op("SHAPE", [y], (rank,), step, {"out_type": "INT64"}, "INT64")
    target = shape_at(of_y, nothing)
    is_zero = scope.op("EQUAL", [spread(y, target), spread(zero, target)], shape, step, {}, "BOOL")
    target = shape_at(scope.op("SHAPE", [x], (rank,), step, {"out_type": "INT64"}, "INT64"), of_y)
    quotient = scope.op("DIV", [spread(x, target), spread(y, target)], shape, step, dict(_PLAIN))
    chosen = [spread(is_zero, nothing, "BOOL"), spread(zero, nothing), spread(quotient, nothing)]
    return scope.op("SELECT_V2", list(chosen), shape, step)
