"""Einsum, and products of matrices.

The converter makes a BATCH_MATMUL of both operands, transposed and reshaped to [batch..., rows, summed] and
[batch..., summed, columns], and of a constant matrix a FULLY_CONNECTED (tensorflow/tensorflow
compiler/mlir/tensorflow/transforms/einsum.cc `transposeForBatchMatmul`, `reshapeForBatchMatmul`; google-ai-edge/LiteRT
tflite/converter/transforms/optimize_batch_matmul.cc). Keras 3 writes some equations as products itself (`einsum` of
keras/src/backend/tensorflow/numpy.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from msgspec import Struct

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.layer_scope import Scope, shape_of
from xnnlint.keras.lower.program import Shape, Step, Value, broadcast
from xnnlint.keras.lower.weighted_layers import reshaped, transposed

_FULLY_CONNECTED = {"weights_format": "DEFAULT", "fused_activation_function": "NONE"}
# What `use_custom_ops` of keras/src/backend/tensorflow/numpy.py does with both operands and the product: orders of
# axes, None for none. Equations with letters in the order in which they come.
_PRODUCTS: dict[str, tuple[list[int] | None, list[int] | None, list[int] | None]] = {
    "ab,bc->ac": (None, None, None),
    "ab,cb->ac": (None, [1, 0], None),
    "abc,cd->abd": (None, None, None),
    "abc,dc->abd": (None, [1, 0], None),
    "abcd,abde->abce": (None, None, None),
    "abcd,abed->abce": (None, [0, 1, 3, 2], None),
    "abcd,acbe->adbe": ([0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 1, 3]),
    "abcd,adbe->acbe": (None, [0, 2, 1, 3], [0, 2, 1, 3]),
    "abcd,aecd->acbe": ([0, 2, 1, 3], [0, 2, 3, 1], None),
    "abcd,aecd->aceb": ([0, 2, 1, 3], [0, 2, 3, 1], [0, 1, 3, 2]),
}
# Those with two axes of the second operand as one: the order of that before.
_MERGING = {
    "abc,cde->abde": None,
    "abc,dce->abde": [1, 0, 2],
    "abc,dec->abde": [2, 0, 1],
    "abcd,cde->abe": None,
    "abcd,ced->abe": [0, 2, 1],
    "abcd,ecd->abe": [1, 2, 0],
}
_ALSO_IN_KERAS_3 = ("a,b->ab", "ab,b->a", "abcde,aebf->adbcf", "abcde,afce->acdbf")


def einsum(scope: Scope, equation: str, x: Value, y: Value) -> Value:
    """tf.einsum of Keras 2, and ops.einsum of Keras 3."""
    plain = _normalized(equation) if scope.is_keras_3 else equation
    if scope.is_keras_3 and plain in _PRODUCTS:
        return _product(scope, _PRODUCTS[plain], x, y)
    if scope.is_keras_3 and plain in _MERGING and None not in (*shape_of(x)[1:], *shape_of(y)):
        return _merging_product(scope, plain, x, y)
    if scope.is_keras_3 and plain in _ALSO_IN_KERAS_3:
        raise NotSupported(f"its equation {equation!r} is not known here")
    return decompose(scope, plain, x, y)


def _normalized(equation: str) -> str:
    """With the letters a, b, c, ... in the order in which they come."""
    names: dict[str, str] = {}
    for letter in equation.replace(" ", ""):
        if letter.isalpha():
            names.setdefault(letter, ascii_letters[len(names)])
    return "".join(names.get(letter, letter) for letter in equation.replace(" ", ""))


def _product(scope: Scope, orders: tuple[list[int] | None, ...], x: Value, y: Value) -> Value:
    x, y = (
        v if order is None else _in_order(scope, v, order, "transpose")
        for v, order in zip((x, y), orders, strict=False)
    )
    z = matmul(scope, x, y)
    return z if orders[2] is None else _in_order(scope, z, orders[2], "transpose")


def _merging_product(scope: Scope, equation: str, x: Value, y: Value) -> Value:
    order = _MERGING[equation]
    y = y if order is None else _in_order(scope, y, order, "transpose")
    batch, rows, *rest = shape_of(x)
    first, second, third = (int(n or 0) for n in shape_of(y))
    if len(rest) == 1:
        z = matmul(scope, x, _in_shape(scope, y, (first, second * third), "Reshape"))
        return _in_shape(scope, z, (batch, rows, second, third), "Reshape")
    x = _in_shape(scope, x, (batch, rows, first * second), "Reshape")
    return matmul(scope, x, _in_shape(scope, y, (first * second, third), "Reshape"))


def matmul(scope: Scope, x: Value, y: Value, at: str | Step = "MatMul", transpose_second: bool = False) -> Value:
    """tf.matmul of tensors with two or more axes each."""
    left, right = shape_of(x), shape_of(y)
    if len(left) < 2 or len(right) < 2:
        raise NotSupported("it multiplies a vector")
    right = (*right[:-2], right[-1], right[-2]) if transpose_second else right
    out = (*(broadcast(left[:-2], right[:-2]) or ()), left[-2], right[-1])
    if y.constant is not None and len(right) == 2 and not transpose_second:
        attributes = {**_FULLY_CONNECTED, "keep_num_dims": len(left) > 2}
        return scope.op("FULLY_CONNECTED", [x, transposed(y, (1, 0)), None], out, at, attributes)
    if len(left) == len(right) == 2:
        raise NotSupported("it multiplies two matrices that are both computed")
    return scope.op("BATCH_MATMUL", [x, y], out, at, {"adj_x": False, "adj_y": transpose_second})


class _Letters(Struct, frozen=True):
    """The axes of an equation by what becomes of them."""

    left: str
    right: str
    out: str

    @property
    def batch(self) -> str:
        return "".join(c for c in self.left if c in self.right and c in self.out)

    @property
    def rows(self) -> str:
        return "".join(c for c in self.left if c not in self.right)

    @property
    def summed(self) -> str:
        return "".join(c for c in self.left if c in self.right and c not in self.out)

    @property
    def columns(self) -> str:
        return "".join(c for c in self.right if c not in self.left)


def letters(equation: str, left_rank: int, right_rank: int) -> tuple[str, str, str]:
    """The letters of both operands and the result, with letters for those that "..." stands for.

    Raises:
        NotSupported: it is no equation of two operands, or does not fit them.
    """
    given, arrow, out = equation.replace(" ", "").partition("->")
    parts = given.split(",")
    if not arrow or len(parts) != 2:
        raise NotSupported(f"its equation {equation!r} is none of two operands and a result")
    spare = [c for c in reversed(ascii_letters) if c not in equation]
    wide = max(
        (rank - len(p) + 3 for p, rank in zip(parts, (left_rank, right_rank), strict=True) if "..." in p), default=0
    )
    if not 0 <= wide <= len(spare):
        raise NotSupported(f"its equation {equation!r} does not fit its inputs")
    more = "".join(spare[:wide])
    left, right, out = (text.replace("...", more) for text in (*parts, out))
    fits = (len(left), len(right)) == (left_rank, right_rank) and (left + right + out).isalpha()
    if not fits or any(len(set(text)) != len(text) for text in (left, right, out)) or set(out) - set(left + right):
        raise NotSupported(f"its equation {equation!r} does not fit its inputs")
    return left, right, out


def decompose(scope: Scope, equation: str, x: Value, y: Value) -> Value:
    """An Einsum operation of TensorFlow: a product between transpositions and reshapes."""
    axes = _Letters(*letters(equation, len(shape_of(x)), len(shape_of(y))))
    if set(axes.rows + axes.columns) - set(axes.out):
        raise NotSupported(f"its equation {equation!r} sums over an axis of one operand")
    sizes = dict(zip(axes.right, shape_of(y), strict=True))
    sizes |= {c: n for c, n in zip(axes.left, shape_of(x), strict=True) if n is not None or c not in sizes}
    if not axes.summed:
        raise NotSupported(f"the converter fails for the equation {equation!r}, which sums nothing")
    step = scope.step(f"{scope.inner_name('einsum')}/Einsum")
    # Rows stay apart where nothing stands before them.
    rows = _sizes(axes.rows, sizes) if axes.rows and not axes.batch else (_product_of(axes.rows, sizes),)
    batch, summed, columns = (
        _sizes(axes.batch, sizes),
        _product_of(axes.summed, sizes),
        _product_of(axes.columns, sizes),
    )
    left = _arranged(scope, x, axes.left, axes.batch + axes.rows + axes.summed, step)
    right = _arranged(scope, y, axes.right, axes.batch + axes.summed + axes.columns, step)
    left = _fitted(scope, left, (*batch, *rows, summed), step)
    right = _fitted(scope, right, (*batch, summed, columns), step)
    z = matmul(scope, left, right, step)
    order = axes.batch + axes.rows + axes.columns
    z = _in_shape(scope, z, _sizes(order, sizes), step)
    return _arranged(scope, z, order, axes.out, step)


def _sizes(names: str, sizes: dict[str, int | None]) -> Shape:
    return tuple(sizes[c] for c in names)


def _product_of(names: str, sizes: dict[str, int | None]) -> int | None:
    """How large some axes are as one.

    Raises:
        NotSupported: one of several is of unknown size, which the converter refuses (`VerifyShapeOfReshapeOp`).
    """
    if len(names) == 1:
        return sizes[names]
    if any(sizes[c] is None for c in names):
        raise NotSupported("it joins axes of unknown size")
    return math.prod(sizes[c] or 0 for c in names)


def _arranged(scope: Scope, value: Value, now: str, then: str, step: Step) -> Value:
    order = [now.index(c) for c in then]
    return value if order == sorted(order) else _in_order(scope, value, order, step)


def _fitted(scope: Scope, value: Value, shape: Shape, step: Step) -> Value:
    return value if value.shape == shape else _in_shape(scope, value, shape, step)


def _in_order(scope: Scope, value: Value, order: Sequence[int], at: str | Step) -> Value:
    """A TRANSPOSE; a constant is transposed at once."""
    if value.constant is not None:
        return transposed(value, tuple(order))
    shape = tuple(shape_of(value)[d] for d in order)
    return scope.op(
        "TRANSPOSE", [value, scope.integers(list(order), f"{_name(at)}/perm")], shape, at, dtype=value.dtype
    )


def _in_shape(scope: Scope, value: Value, shape: Shape, at: str | Step) -> Value:
    """A RESHAPE; a constant is reshaped at once."""
    if value.constant is not None:
        return reshaped(value, tuple(int(n or 0) for n in shape))
    if shape.count(None) > 1:
        raise NotSupported("it reshapes to a shape with several unknown sizes")
    target: list[Any] = [-1 if n is None else n for n in shape]
    return scope.op("RESHAPE", [value, scope.integers(target, f"{_name(at)}/shape")], shape, at, dtype=value.dtype)


def _name(at: str | Step) -> str:
    return at if isinstance(at, str) else "einsum/Einsum"
