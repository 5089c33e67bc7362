"""Functions on arrays: operations of keras.ops that move, take, join and count, and tf.* functions like them.

What each is made of: keras/src/backend/tensorflow/numpy.py and nn.py (keras 3.15).
"""

from __future__ import annotations

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.activations import activate as named_activation
from xnnlint.keras.lower.activations import unary
from xnnlint.keras.lower.attention_layers import dot_product_attention
from xnnlint.keras.lower.einsum import einsum, matmul
from xnnlint.keras.lower.functions import Arguments, Function, Result, named
from xnnlint.keras.lower.layer_scope import axis_of, shape_of
from xnnlint.keras.lower.normalization_layers import normalized
from xnnlint.keras.lower.program import Value, broadcast
from xnnlint.keras.lower.shape_layers import number_of, pool, reduce, repeat, reshape_to, tile, transpose_by

_PLAIN = {"fused_activation_function": "NONE"}


# -- axes


def _swapaxes(bound: Arguments) -> Value:
    x = bound.tensor("x")
    rank = len(shape_of(x))
    order = list(range(rank))
    one, other = (axis_of(bound.whole(name), rank) for name in ("axis1", "axis2"))
    order[one], order[other] = other, one
    return transpose_by(bound.scope, x, order, "transpose")


def _moveaxis(bound: Arguments) -> Value:
    x = bound.tensor("x")
    rank = len(shape_of(x))
    sources, targets = ([axis_of(a, rank) for a in bound.wholes(name)] for name in ("source", "destination"))
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets) or len(sources) != len(targets):
        raise NotSupported("it moves axes to places that do not fit")
    order = [d for d in range(rank) if d not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return transpose_by(bound.scope, x, order, "transpose")


def _flip(bound: Arguments) -> Value:
    x = bound.tensor("x")
    rank = len(shape_of(x))
    axes = [axis_of(a, rank) for a in bound.wholes("axis", default=list(range(rank)))]
    where = bound.scope.integers(axes, "ReverseV2/axis")
    return bound.scope.op("REVERSE_V2", [x, where], x.shape, "ReverseV2", dtype=x.dtype)


# -- parts


def _take(bound: Arguments) -> Value:
    """A GATHER of whole numbers that the model holds."""
    x = bound.tensor("x")
    shape = shape_of(x)
    if bound.given("axis") is None or isinstance(bound.given("indices"), Value):
        raise NotSupported("what it takes is computed, or it takes from all axes as one")
    axis = axis_of(bound.whole("axis"), len(shape))
    taken, size, scope = bound.array("indices").astype(np.int64), shape[axis], bound.scope
    if taken.ndim > 1 or size is None or not ((-size <= taken) & (taken < size)).all():
        raise NotSupported("it takes by a table of places, or along an axis of unknown size")
    # Places from the end are found by the axis' size, of which the converter knows what comes out.
    places, out = scope.integers(taken, scope.inner_name("Const")), (*shape[:axis], *taken.shape, *shape[axis + 1 :])
    negative = scope.constant(taken < 0, "Less", "BOOL")
    if x.is_static:
        count = scope.integers(size, "strided_slice")
    else:
        whole = scope.op("SHAPE", [x], (len(shape),), "Shape", {"out_type": "INT32"}, "INT32")
        count = number_of(scope, whole, axis, "strided_slice")
    more = scope.op("ADD", [places, count], taken.shape, "add", dict(_PLAIN), "INT32")
    where = scope.op("SELECT_V2", [negative, more, places], taken.shape, "SelectV2", {}, "INT32")
    return scope.op("GATHER", [x, where], out, "GatherV2", {"axis": bound.whole("axis")}, x.dtype)


def _unstack(bound: Arguments) -> Result:
    x, axis = bound.tensor("x"), bound.whole("axis", default=0)
    shape = list(shape_of(x))
    count = shape.pop(axis_of(axis, len(shape)))
    if not count or bound.given("num") not in (None, count):
        raise NotSupported("it takes apart an axis of unknown size")
    attributes = {"num": count, "axis": axis_of(axis, len(shape) + 1)}
    return bound.scope.ops("UNPACK", [x], [tuple(shape)] * count, "unstack", attributes, x.dtype)


# -- numbers


def _variance(bound: Arguments, at: str = "reduce_variance") -> Value:
    """tf.math.reduce_variance."""
    x, scope = bound.tensor("x"), bound.scope
    axes = bound.wholes("axis", default=list(range(len(shape_of(x)))))
    mean = reduce(scope, x, "MEAN", axes, True, f"{at}/Mean")
    less = scope.op("SUB", [x, mean], x.shape, f"{at}/sub", dict(_PLAIN))
    squares = scope.op("SQUARE", [less], x.shape, f"{at}/Square")
    return reduce(scope, squares, "MEAN", axes, bound.flag("keepdims"), f"{at}/Mean_1")


def _deviation(bound: Arguments) -> Value:
    variance = _variance(bound, "reduce_std/reduce_variance")
    return bound.scope.op("SQRT", [variance], variance.shape, "reduce_std/Sqrt")


def _logical(type_: str, at: str) -> Function:
    def emit(bound: Arguments) -> Value:
        values = [bound.tensor(name) for name in (("x", "y") if type_ != "LOGICAL_NOT" else ("x",))]
        if any(value.dtype != "BOOL" for value in values):
            raise NotSupported("what it joins is no comparison")
        return bound.scope.op(type_, list(values), broadcast(*(v.shape for v in values)), at, dtype="BOOL")

    return Function(("x", "y"), emit)


def _reciprocal(bound: Arguments) -> Value:
    x = bound.tensor("x")
    one = bound.scope.constant(1.0, "Reciprocal/one")
    return bound.scope.op("DIV", [one, x], x.shape, "Reciprocal", dict(_PLAIN))


def _log1p(bound: Arguments) -> Value:
    x, scope = bound.tensor("x"), bound.scope
    step = scope.step("Log1p")
    more = scope.op("ADD", [x, scope.constant(1.0, "Log1p/one")], x.shape, step, dict(_PLAIN))
    return scope.op("LOG", [more], x.shape, step)


def _expm1(bound: Arguments) -> Value:
    x, scope = bound.tensor("x"), bound.scope
    step = scope.step("Expm1")
    one = scope.constant(1.0, "Expm1/one")
    return scope.op("SUB", [scope.op("EXP", [x], x.shape, step), one], x.shape, step, dict(_PLAIN))


def _log_sigmoid(bound: Arguments) -> Value:
    """-softplus(-x)."""
    x = unary(bound.scope, "NEG", bound.tensor("x"), "LogSigmoid/Neg")
    return unary(bound.scope, "NEG", named_activation(bound.scope, x, "softplus"), "LogSigmoid")


def _normalize(bound: Arguments) -> Value:
    if bound.given("order") not in (None, 2):
        raise NotSupported("it normalizes by another norm than the length")
    return normalized(bound.scope, bound.tensor("x"), bound.whole("axis", default=-1))


def _cumsum(bound: Arguments) -> Value:
    x = bound.tensor("x")
    if bound.given("axis") is None:
        raise NotSupported("it sums along all axes as one")
    return bound.scope.op("CUMSUM", [x, bound.scope.integers(bound.whole("axis"), "Cumsum/axis")], x.shape, "Cumsum")


def _top_k(bound: Arguments) -> Result:
    x, count = bound.tensor("x"), bound.whole("k", default=1, least=1)
    shape = (*shape_of(x)[:-1], count)
    values, places = bound.scope.ops("TOPK_V2", [x, bound.scope.integers(count, "TopKV2/k")], [shape, shape], "TopKV2")
    places.dtype = "INT32"
    return [values, places]


# -- again and again


def _tile(bound: Arguments) -> Value:
    x = bound.tensor("x")
    times = bound.wholes("repeats", "multiples", least=1)
    if len(times) != len(shape_of(x)):
        raise NotSupported("it repeats other axes than those of its input")
    return tile(bound.scope, x, times, "Tile")


def _repeat(bound: Arguments) -> Value:
    x, axis = bound.tensor("x"), bound.whole("axis")
    return repeat(bound.scope, x, bound.whole("repeats", least=1), axis_of(axis, len(shape_of(x))))


# -- products


def _matmul(bound: Arguments) -> Value:
    return matmul(bound.scope, bound.tensor("x"), bound.tensor("y"))


def _einsum(bound: Arguments) -> Value:
    return einsum(bound.scope, bound.word("subscripts"), bound.tensor("x"), bound.tensor("y"))


def _attention(bound: Arguments) -> Value:
    for name in ("bias", "mask", "flash_attention", "attn_logits_soft_cap"):
        if bound.given(name):
            raise NotSupported(f"it has a {name}")
    query, key, value = (bound.tensor(name) for name in ("query", "key", "value"))
    size = shape_of(key, 4)[3]
    if size is None or shape_of(query, 4)[2] != shape_of(key)[2]:
        raise NotSupported("its heads do not fit")
    scale = bound.real("scale", default=float(np.float32(1) / np.sqrt(np.float32(size))))
    return dot_product_attention(bound.scope, query, key, value, scale, bound.flag("is_causal"))


# -- windows and sizes


def _pool(bound: Arguments) -> Value:
    """Its options are those of the layer, and in its config as there."""
    return pool(bound.scope, bound.tensor("x"))


def _ravel(bound: Arguments) -> Value:
    return reshape_to(bound.scope, bound.tensor("x"), [-1], "Reshape")


def _zeros_like(bound: Arguments) -> Value:
    x = _open(bound)
    return bound.scope.op("ZEROS_LIKE", [x], x.shape, "zeros_like")


def _ones_like(bound: Arguments) -> Value:
    x, scope = _open(bound), bound.scope
    step = scope.step("ones_like")
    whole = scope.op("SHAPE", [x], (len(shape_of(x)),), step, {"out_type": "INT64"}, "INT64")
    return scope.op("BROADCAST_TO", [scope.constant(1.0, "ones_like/one"), whole], x.shape, step)


def _open(bound: Arguments) -> Value:
    """A tensor of which a size is known at run time only: the converter folds what is like any other."""
    x = bound.tensor("x")
    if x.is_static or x.dtype != "FLOAT32" or bound.given("dtype") not in (None, "float32"):
        raise NotSupported("it makes a tensor like one of known size or of another type")
    return x


named(Function(("x",), _pool), keras="MaxPool AveragePool")
named(Function(("x",), _ravel), keras="Ravel")
named(Function(("x",), _zeros_like), tf="zeros_like", keras="ZerosLike")
named(Function(("x",), _ones_like), tf="ones_like", keras="OnesLike")
named(Function(("x", "axis1", "axis2"), _swapaxes), keras="Swapaxes")
named(Function(("x", "source", "destination"), _moveaxis), keras="Moveaxis")
named(Function(("x", "axis"), _flip), tf="reverse", keras="Flip")
named(Function(("x", "indices", "axis"), _take), keras="Take")
named(Function(("x", "num", "axis"), _unstack), tf="unstack", keras="Unstack")
named(Function(("x", "axis", "keepdims"), _variance), tf="math.reduce_variance", keras="Var")
named(Function(("x", "axis", "keepdims"), _deviation), tf="math.reduce_std", keras="Std")
named(_logical("LOGICAL_AND", "LogicalAnd"), tf="math.logical_and", keras="LogicalAnd")
named(_logical("LOGICAL_OR", "LogicalOr"), tf="math.logical_or", keras="LogicalOr")
named(_logical("LOGICAL_NOT", "LogicalNot"), tf="math.logical_not", keras="LogicalNot")
named(Function(("x",), _reciprocal), keras="Reciprocal")
named(Function(("x",), _log1p), keras="Log1p")
named(Function(("x",), _expm1), tf="math.expm1", keras="Expm1")
named(Function(("x",), _log_sigmoid), keras="LogSigmoid")
named(Function(("x", "axis", "order"), _normalize), keras="Normalize")
named(Function(("x", "axis"), _cumsum), keras="Cumsum")
named(Function(("x", "k", "sorted"), _top_k), keras="TopK")
named(Function(("x", "repeats"), _tile), keras="Tile")
named(Function(("x", "repeats", "axis"), _repeat), keras="Repeat")
named(Function(("x", "y"), _matmul), keras="Matmul")
named(Function(("x", "y"), _einsum), keras="Einsum")
named(
    Function(("query", "key", "value", "bias", "mask", "scale", "is_causal"), _attention), keras="DotProductAttention"
)
