"""Scaled dot-product attention as one operator: `odml.scaled_dot_product_attention`, a composite or a custom operator.

The delegate takes it whole, and the runtime inlines what it does not take.
Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitDotAttentionNode`, read at f674577.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xnnlint.model.graph import Operator, Tensor
from xnnlint.xnnpack.delegate import accept_checks as check
from xnnlint.xnnpack.delegate.accept_checks import Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.lower.lower_values import Lowering

if TYPE_CHECKING:
    import numpy as np

ATTENTION = "odml.scaled_dot_product_attention"
_CAP, _SCALE = b"logit_cap\0", b"scale\0"
"""How keys are stored in the options, which are a FlexBuffer."""
_SWAP = (0, 2, 1, 3)


def objections(tensors: Sequence[Tensor], op: Operator) -> Iterator[Rejection]:
    """What the delegate has against it: types, the size of a head, and the length that a mask is for."""
    yield from check.arity(op, (3, 4), 1)
    query, key, value, *mask = (tensors[t] for t in op.inputs)
    for tensor in (query, key, value, *mask, tensors[op.outputs[0]]):
        yield from check.dtype(tensor, ("FLOAT32",))
    for tensor in (query, key, value):
        yield from check.shape(tensor, 4)
    for other in (key, value):
        if other.shape[3] != query.shape[3]:
            yield Rejection(Objection.CHANNELS, f"heads of {query.shape[3]}", str(other.shape[3]), other.index)
    for masks in mask:
        for other in (key, value):
            if masks.shape[-1:] != other.shape[1:2]:
                yield Rejection(Objection.CHANNELS, f"a mask of {other.shape[1]}", str(masks.shape[-1:]), masks.index)
    if not key.shape[2] or query.shape[2] % key.shape[2]:
        yield Rejection(Objection.CHANNELS, f"heads that divide {query.shape[2]}", str(key.shape[2]), key.index)


def accept(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from objections(scope.graph.tensors, op)


def lower(lowering: Lowering, op: Operator) -> None:
    """Query times scale, products with the keys, softmax, products with the values; heads come first in between."""
    (batch, steps, heads, depth), (_, length, groups, _), *_ = (lowering.graph.tensors[t].shape for t in op.inputs)
    shape = (batch, heads, steps, length)
    query, key, value = (lowering.input(op, slot) for slot in range(3))
    options = bytes(op.attributes.get("custom_options") or b"")
    scale = _number(lowering)
    if _SCALE not in options:  # One over the root of the depth, by way of a clamp.
        scale = _made(lowering, op, NodeType.UNARY, [scale], (), operator="clamp", min=depth**-0.5, max=depth**-0.5)
    query = _made(lowering, op, NodeType.BINARY, [query, scale], (batch, steps, heads, depth), operator="multiply")
    query = _made(lowering, op, NodeType.TRANSPOSE, [query], (batch, heads, steps, depth), perm=_SWAP)
    key = _made(lowering, op, NodeType.TRANSPOSE, [key], (batch, groups, length, depth), perm=_SWAP)
    logits = _product(lowering, op, (query, key), (batch, groups, heads // groups, steps, depth), (length, depth), 0)
    if _CAP in options:
        cap = _number(lowering)
        logits = _made(lowering, op, NodeType.BINARY, [logits, cap], shape, operator="divide")
        logits = _made(lowering, op, NodeType.UNARY, [logits], shape, operator="tanh")
        logits = _made(lowering, op, NodeType.BINARY, [logits, cap], shape, operator="multiply")
    if len(op.inputs) > 3:
        logits = _made(lowering, op, NodeType.BINARY, [lowering.input(op, 3), logits], shape, operator="add")
    shares = _made(lowering, op, NodeType.SOFTMAX, [logits], shape)
    value = _made(lowering, op, NodeType.TRANSPOSE, [value], (batch, groups, depth, length), perm=(0, 2, 3, 1))
    found = _product(lowering, op, (shares, value), (batch, groups, heads // groups, steps, length), (depth, length), 1)
    lowering.node(op, NodeType.TRANSPOSE, [found], [lowering.output(op)], perm=_SWAP)


def _product(
    lowering: Lowering,
    op: Operator,
    pair: tuple[int, int],
    left: tuple[int, ...],
    right: tuple[int, int],
    open_axis: int,
) -> int:
    """Rows of each head times those of its group: with one group a fully-connected node, with some a dimension more.

    Args:
        left: batch, groups, heads in each, rows, and what is summed over.
        right: columns, and what is summed over.
        open_axis: which of `right` is the length, which may differ from run to run: reshapes have 0 for it.
    """
    one, other = pair
    batch, groups, share, rows, depth = left
    shape = (batch, groups * share, rows, right[0])
    open_right = (0, right[1]) if open_axis == 0 else (right[0], 0)
    if groups == 1:
        other = _reshaped(lowering, op, other, right, open_right)
        return _made(lowering, op, NodeType.FULLY_CONNECTED, [one, other], shape)
    if share == 1:
        return _made(lowering, op, NodeType.BATCH_MATRIX_MULTIPLY, [one, other], shape, transpose_b=True)
    one = _reshaped(lowering, op, one, left, (*left[:4], 0 if open_axis else depth))
    other = _reshaped(lowering, op, other, (batch, groups, 1, *right), (batch, groups, 1, *open_right))
    wide = (batch, groups, share, rows, right[0])
    made = _made(lowering, op, NodeType.BATCH_MATRIX_MULTIPLY, [one, other], wide, transpose_b=True)
    return _reshaped(lowering, op, made, shape, shape if open_axis else (*shape[:3], 0))


def _reshaped(lowering: Lowering, op: Operator, source: int, shape: tuple[int, ...], new_shape: tuple[int, ...]) -> int:
    return _made(lowering, op, NodeType.RESHAPE, [source], shape, new_shape=new_shape)


def _number(lowering: Lowering) -> int:
    """A constant, whose value does not matter."""
    return lowering.subgraph.new_value("fp32", (), data=_nothing).id


def _nothing() -> np.ndarray:
    import numpy as np

    return np.ones(1, np.float32)


def _made(
    lowering: Lowering,
    op: Operator,
    type: str,
    inputs: list[int],
    shape: tuple[int, ...],
    operator: str = "",
    **params: Any,
) -> int:
    target = lowering.subgraph.new_value("fp32", shape)
    lowering.node(op, type, inputs, [target.id], operator, **params)
    return target.id
