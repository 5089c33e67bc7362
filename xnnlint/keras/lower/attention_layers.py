"""Layers that attend: EinsumDense, MultiHeadAttention, Attention and AdditiveAttention.

Sources: tf_keras/src/layers/attention/*.py and keras/src/layers/attention/*.py (keras 3.15), whose
`dot_product_attention` of the TensorFlow backend stands for heads over a sequence without dropout.
"""

from __future__ import annotations

import math
from string import ascii_lowercase
from typing import Any

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import whole
from xnnlint.keras.description import Layer
from xnnlint.keras.lower.activations import activate, softmax
from xnnlint.keras.lower.einsum import decompose, einsum, letters, matmul
from xnnlint.keras.lower.functions import Arguments, Function, Result
from xnnlint.keras.lower.layer_scope import Scope, axis_of, shape_of
from xnnlint.keras.lower.normalization_layers import l2_normalize, normalized
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.registry import layer, merging_layer
from xnnlint.keras.lower.shape_layers import expand_axis, reduce, transpose_by
from xnnlint.keras.lower.weighted_layers import reshaped

_PLAIN = {"fused_activation_function": "NONE"}
_MOST_MASKED = 1 << 26


@layer("EinsumDense")
def einsum_dense(scope: Scope, x: Value) -> Value:
    """EinsumDense: an einsum with a kernel, a bias along some axes of the result, an activation."""
    config, shape = scope.config, shape_of(x)
    equation = config.word("equation")
    kernel_letters = equation.replace(" ", "").partition("->")[0].partition(",")[2]
    left, right, out = letters(equation, len(shape), len(kernel_letters))
    # Without the batch; None for axes as large as the input's.
    wanted = config.given("output_shape")
    wanted = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    sizes: dict[str, int | None] = dict(zip(left, shape, strict=True))
    for letter, size in zip(out[::-1], wanted[::-1], strict=False):
        if size is not None and sizes.get(letter) is None:
            sizes[letter] = whole(size, "output_shape", 0)
    if any(sizes.get(c) is None for c in right):
        raise NotSupported("the shape of its kernel is unknown")
    reader = "Cast" if scope.is_keras_3 else "einsum/Einsum"
    kernel = scope.weight("kernel", tuple(sizes[c] for c in right), f"{reader}/ReadVariableOp", default=1.0)
    y = einsum(scope, f"{left},{right}->{out}", x, kernel)
    along = config.word("bias_axes", default="")
    if along:
        if set(along) - set(out):
            raise NotSupported(f"its bias_axes {along!r} are none of its result")
        first = min(out.index(c) for c in along)
        wide = tuple(sizes.get(c) if c in along else 1 for c in out[first:])
        large = [n for n in wide if n != 1]
        # Keras 3 adds what is a vector but for axes of one as such.
        vector = scope.is_keras_3 and len(large) == 1 and y.shape is not None and large[0] in (y.shape[1], y.shape[-1])
        at = "add" if not scope.is_keras_3 else "BiasAdd" if vector else "Add"
        bias = scope.weight("bias", wide, f"{at}/ReadVariableOp")
        if vector and large[0] != (y.shape or ())[-1]:
            raise NotSupported("its bias is added along another axis than the last one")
        bias = reshaped(bias, (int(large[0] or 0),)) if vector else bias
        y = scope.op("ADD", [y, bias], y.shape, at, dict(_PLAIN))
    return activate(scope, y, config.given("activation"))


def _inner(scope: Scope, name: str, config: dict[str, Any]) -> Scope:
    """Where a layer of a layer puts its operators; its variables are the outer one's, as "query/kernel"."""
    outer = scope.layer
    weights = {key.removeprefix(f"{name}/"): v for key, v in outer.weights.items() if key.startswith(f"{name}/")}
    path = (*(outer.path or (outer.name,)), name)
    inner = Layer(name, "EinsumDense", config, weights=weights, path=path)
    return Scope(scope.builder, inner, scope.builder.inner(scope.prefix, name), scope.label, scope.training)


def _projection(scope: Scope, name: str, x: Value, sizes: list[int], bound: int = 1) -> Value:
    """One of the four dense layers of MultiHeadAttention (`_build_proj_equation`).

    Args:
        sizes: of the axes that the last ones of `x` become.
        bound: how many those are.
    """
    shape = shape_of(x)
    free = len(shape) - bound
    kept, summed = ascii_lowercase[:free], ascii_lowercase[free : free + bound]
    made = ascii_lowercase[free + bound : free + bound + len(sizes)]
    config = {
        "equation": f"{kept}{summed},{summed}{made}->{kept}{made}",
        "output_shape": [*[None] * (free - 1), *sizes],
        "bias_axes": made if scope.config.flag("use_bias", default=True) else None,
    }
    return einsum_dense(_inner(scope, name, config), x)


def _equations(rank: int, axes: list[int]) -> tuple[str, str]:
    """For heads of this rank, that of keys with queries, and that of the scores with values.

    Args:
        axes: those over which is attended (`_build_attention_equation`).
    """
    target = ascii_lowercase[:rank]
    more = iter(ascii_lowercase[rank:])
    source = "".join(next(more) if d in axes else c for d, c in enumerate(target))
    batch = "".join(c for d, c in enumerate(target) if d not in axes and d != rank - 1)
    product = batch + "".join(target[d] for d in axes) + "".join(source[d] for d in axes)
    return f"{source},{target}->{product}", f"{product},{source}->{target}"


def _heads(bound: Arguments) -> Result:
    """MultiHeadAttention."""
    scope = bound.scope
    config = scope.config
    for name in ("query_mask", "value_mask", "key_mask", "attention_mask"):
        if bound.given(name) is not None:
            raise NotSupported(f"it is called with a {name}")
    if config.flag("use_gate") or config.flag("flash_attention"):
        raise NotSupported("it has a gate or flash attention")
    dropout = config.real("dropout", default=0.0)
    if dropout and scope.in_training([], dict(bound.values)):
        raise NotSupported("it is called with training=True")
    query, value = bound.tensor("query"), bound.tensor("value")
    key = bound.tensor("key") if bound.given("key") is not None else value
    if not shape_of(query):
        raise NotSupported("its query is a number")
    heads, size = config.whole("num_heads", least=1), config.whole("key_dim", least=1)
    values = config.whole("value_dim", default=size, least=1)
    last = config.wholes("output_shape", default=[shape_of(query)[-1] or 0], least=1)
    q = _projection(scope, "query", query, [heads, size])
    k = _projection(scope, "key", key, [heads, size])
    v = _projection(scope, "value", value, [heads, values])
    rank = len(shape_of(q))
    if not len(shape_of(k)) == len(shape_of(v)) == rank >= 4:
        raise NotSupported("its inputs have different ranks")
    axes = [axis_of(a, rank - 1) for a in config.wholes("attention_axes", default=list(range(1, rank - 2)))]
    scores = bound.flag("return_attention_scores")
    causal = bound.flag("use_causal_mask")
    if scope.is_keras_3 and rank == 4 and not dropout and not scores:
        y = dot_product_attention(scope, q, k, v, size**-0.5, causal)
        weights = None
    else:
        if causal and scope.is_keras_3:
            raise NotSupported("it has a causal mask, and dropout or scores")
        y, weights = _by_scores(scope, q, k, v, axes, causal)
    y = _projection(scope, "attention_output", y, last, bound=2)
    return [y, weights] if weights is not None and scores else y


def _by_scores(scope: Scope, q: Value, k: Value, v: Value, axes: list[int], causal: bool) -> tuple[Value, Value]:
    """Scores of the scaled queries, their softmax, and what it makes of the values."""
    to_scores, to_values = _equations(len(shape_of(q)), axes)
    factor = scope.config.whole("key_dim", least=1) ** -0.5
    scale = scope.constant(factor, "Cast/x" if scope.is_keras_3 else "Mul/y")
    scores = einsum(scope, to_scores, k, scope.op("MUL", [q, scale], q.shape, "Mul", dict(_PLAIN)))
    inner = _inner(scope, "softmax", {})
    if causal:
        if len(axes) != 1:
            raise NotSupported("it has a causal mask over several axes")
        rows, columns = _mask_sizes(scores)
        hidden = np.triu(np.full((1, 1, rows, columns), -1e9, np.float32), 1)
        mask = inner.constant(hidden, "mul")
        scores = inner.op("ADD", [scores, mask], scores.shape, "add", dict(_PLAIN))
    rank = len(shape_of(scores))
    weights = softmax(inner, scores, range(rank - len(axes), rank))
    return einsum(scope, to_values, weights, v), weights


def dot_product_attention(
    scope: Scope, query: Value, key: Value, value: Value, scale: float, causal: bool = False
) -> Value:
    """`dot_product_attention` of keras/src/backend/tensorflow/nn.py, without a mask of the user's."""
    scores = decompose(scope, "BTNH,BSNH->BNTS", query, key)
    scores = scope.op("MUL", [scores, scope.constant(scale, "Cast/x")], scores.shape, "Mul", dict(_PLAIN))
    if causal:
        scores = _causal(scope, scores)
    return decompose(scope, "BNTS,BSNH->BTNH", softmax(scope, scores), value)


def _causal(scope: Scope, scores: Value) -> Value:
    """Scores of what comes later are far below zero (`_apply_masks` of keras/src/backend/tensorflow/nn.py)."""
    rows, columns = _mask_sizes(scores)
    least = scope.constant(-1e9, "SelectV2/e")
    if scores.is_static:
        shape = tuple(int(n or 0) for n in shape_of(scores))
        shown = scope.constant(np.tril(np.ones(shape, bool)), "LogicalAnd", "BOOL")
        return scope.op("SELECT_V2", [shown, scores, least], scores.shape, "SelectV2")
    whole = scope.op("SHAPE", [scores], (4,), "ones_like/Shape", {"out_type": "INT32"}, "INT32")
    yes = scope.constant(True, "ones_like/Const", "BOOL")
    ones = scope.op("FILL", [whole, yes], scores.shape, "ones_like", {}, "BOOL")
    before = scope.constant(np.tril(np.ones((1, 1, rows, columns), bool)), "MatrixBandPart", "BOOL")
    shown = scope.op("LOGICAL_AND", [ones, before], scores.shape, "LogicalAnd", {}, "BOOL")
    return scope.op("SELECT_V2", [shown, scores, least], scores.shape, "SelectV2")


def _mask_sizes(scores: Value) -> tuple[int, int]:
    """How many places attend, and to how many.

    Raises:
        NotSupported: that is not known, or more than any model's.
    """
    rows, columns = shape_of(scores)[-2:]
    if rows is None or columns is None:
        raise NotSupported("its causal mask is computed at run time")
    known = [n for n in shape_of(scores) if n is not None]
    if math.prod(known) > _MOST_MASKED:
        raise NotSupported(f"its causal mask has {math.prod(known):,} places")
    return rows, columns


ATTENTION: dict[str, Function] = {
    "MultiHeadAttention": Function(
        ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"), _heads
    ),
}


@merging_layer("Attention", "AdditiveAttention")
def attention(scope: Scope, tensors: list[Value]) -> Value:
    """Attention, by products or by concatenation, and AdditiveAttention, of queries, values and perhaps keys."""
    if len(tensors) not in (2, 3):
        raise NotSupported(f"it has {len(tensors)} inputs")
    query, value = tensors[:2]
    key = tensors[-1]
    if {len(shape_of(t)) for t in tensors} != {3}:
        raise NotSupported("its inputs are no sequences")
    additive = scope.layer.class_name == "AdditiveAttention"
    mode = "concat" if additive else scope.config.word("score_mode", default="dot")
    if mode not in ("dot", "concat"):
        raise NotSupported(f"its score_mode is {mode!r}")
    scores = _sum_scores(scope, query, key, additive) if mode == "concat" else _dot_scores(scope, query, key)
    return matmul(scope, softmax(scope, scores), value)


def _dot_scores(scope: Scope, query: Value, key: Value) -> Value:
    if scope.is_keras_3:
        scores = matmul(scope, query, transpose_by(scope, key, [0, 2, 1], "transpose"))
    else:
        scores = matmul(scope, query, key, transpose_second=True)
    if not scope.config.flag("use_scale"):
        return scores
    at = "Mul" if scope.is_keras_3 else "mul"
    scale = scope.weight("scale", (), f"{at}/ReadVariableOp", default=1.0)
    return scope.op("MUL", [scores, scale], scores.shape, at, dict(_PLAIN))


def _sum_scores(scope: Scope, query: Value, key: Value, additive: bool) -> Value:
    """tanh(query + key), summed: Attention weighs the sum, AdditiveAttention what is summed."""
    rows = expand_axis(scope, query, 2 if scope.is_keras_3 else -2, "ExpandDims")
    columns = expand_axis(scope, key, 1 if scope.is_keras_3 else -3, "ExpandDims_1")
    batch, count, size = shape_of(query)
    shape, at = (batch, count, shape_of(key)[1], size), "Mul" if scope.is_keras_3 else "mul"
    reader = "Mul/ReadVariableOp" if scope.is_keras_3 else "ReadVariableOp"
    y = scope.op("ADD", [rows, columns], shape, "add", dict(_PLAIN))
    if not additive and scope.config.flag("use_scale"):
        raise NotSupported("it scales concatenated queries and keys")
    y = scope.op("TANH", [y], shape, "Tanh")
    if additive and scope.config.flag("use_scale", default=True):
        scale = scope.weight("scale", (size,), reader, default=1.0)
        y = scope.op("MUL", [y, scale], shape, at, dict(_PLAIN))
    y = reduce(scope, y, "SUM", -1, False, "Sum")
    if additive:
        return y
    weight = scope.weight("concat_score_weight", (), reader, default=1.0)
    return scope.op("MUL", [y, weight], y.shape, at, dict(_PLAIN))


@merging_layer("Dot")
def dot(scope: Scope, tensors: list[Value]) -> Value:
    """Dot of sequences, along an axis of each (`batch_dot` of tf_keras and of Keras 3)."""
    if len(tensors) != 2 or {len(shape_of(t)) for t in tensors} != {3}:
        raise NotSupported("its inputs are not two sequences")
    first, second = (axis_of(a, 3) for a in scope.config.wholes("axes", count=2))
    if 0 in (first, second):
        raise NotSupported("it sums over the batch")
    x, y = tensors
    if scope.config.flag("normalize"):
        x, y = (
            normalized(scope, value, axis) if scope.is_keras_3 else l2_normalize(scope, value, [axis])
            for value, axis in ((x, first), (y, second))
        )
    x = x if first == 2 else transpose_by(scope, x, [0, 2, 1], "transpose")
    y = y if second == 1 else transpose_by(scope, y, [0, 2, 1], "transpose")
    return matmul(scope, x, y)
