"""Rewrites around TRANSPOSE. See `rewrite` for the sources."""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.converter.constants import equals, flat
from xnnlint.keras.lower.converter.known_sizes import int32
from xnnlint.keras.lower.converter.reshapes import integers, swap
from xnnlint.keras.lower.program import Node, Value, elements
from xnnlint.keras.lower.rewriter import Rewriter


def transpose_before(rewriter: Rewriter, node: Node) -> bool:
    """CommuteTransposeWithEwiseOps: transpose(x) with a constant is the transpose of x with that, transposed back."""
    moves = [rewriter.producer(node, slot, "TRANSPOSE") for slot in (0, 1)]
    move = moves[0] or moves[1]
    other = node.inputs[1] if moves[0] is not None else node.inputs[0]
    if move is None or other is None or other.constant is None or rewriter.uses(move.output) != 1:
        return False
    if node.type == "MAXIMUM" and equals(other.constant, 0.0):  # A RELU by then.
        return False
    order, shape = move.constant(1), move.output.shape
    if order is None or shape is None or shape != node.output.shape or other.rank not in (0, len(shape)):
        return False
    if elements(other.shape or ()) != 1:
        back = tuple(np.argsort(order.array).tolist())
        turned = other.constant.derive(("transposed", back), lambda a: np.ascontiguousarray(a.transpose(back)))
        other = Value(tuple((other.shape or ())[d] for d in back), other.dtype, turned, name=other.name)
    return _transpose_last(rewriter, node, move, [move.inputs[0], other])


def two_transposes_before(rewriter: Rewriter, node: Node) -> bool:
    """CommuteBothInputsTransposedWithEwiseOps: of two tensors that are transposed alike, the result is."""
    moves = [rewriter.producer(node, slot, "TRANSPOSE") for slot in (0, 1)]
    left, right = moves
    if left is None or right is None or left is right:
        return False
    orders = [move.constant(1) for move in (left, right)]
    if any(order is None for order in orders):
        return False
    first, second = (order.array.tolist() for order in orders if order is not None)
    alone = next((move for move in (left, right) if rewriter.uses(move.output) == 1), None)
    if first != second or alone is None or node.output.shape is None:
        return False
    return _transpose_last(rewriter, node, alone, [left.inputs[0], right.inputs[0]])


def _transpose_last(rewriter: Rewriter, node: Node, move: Node, inputs: list[Value | None]) -> bool:
    order = move.constant(1)
    assert order is not None and node.output.shape is not None
    shape = [node.output.shape[d] for d in np.argsort(order.array).tolist()]
    swap(rewriter, node, move, inputs)
    move.output.shape = tuple(shape)
    return True


def transpose_into_product(rewriter: Rewriter, node: Node) -> bool:
    """FuseTransposeIntoBatchMatMulLHS, FuseTransposeIntoBatchMatMulRHSAdjY: of the last two axes."""
    for slot, side in ((0, "adj_x"), (1, "adj_y")):
        move = rewriter.producer(node, slot, "TRANSPOSE")
        order = move.constant(1) if move is not None else None
        if move is None or order is None or node.attributes.get(side) or (slot and rewriter.uses(move.output) != 1):
            continue
        axes = order.array.tolist()
        if axes == [*range(len(axes) - 2), len(axes) - 1, len(axes) - 2]:
            inputs = [move.inputs[0] if i == slot else v for i, v in enumerate(node.inputs)]
            return rewriter.change(node, node.type, inputs, {**node.attributes, side: True})
    return False


def transpose_after_product(rewriter: Rewriter, node: Node) -> bool:
    """FuseTransposeAfterBatchMatmul: the transpose of x @ y.T is y @ x.T."""
    product, order = rewriter.producer(node, 0, "BATCH_MATMUL"), node.constant(1)
    if product is None or order is None or product.attributes.get("adj_x") or not product.attributes.get("adj_y"):
        return False
    axes = order.array.tolist()
    turned = axes == [*range(len(axes) - 2), len(axes) - 1, len(axes) - 2]
    return turned and rewriter.become(node, product, product.inputs[::-1])


def two_transposes(rewriter: Rewriter, node: Node) -> bool:
    """FoldDoubleTranspose."""
    before, order = rewriter.producer(node, 0, "TRANSPOSE"), node.constant(1)
    first = before.constant(1) if before is not None else None
    if before is None or order is None or first is None or rewriter.uses(before.output) != 1:
        return False
    return rewriter.change(node, "TRANSPOSE", [before.inputs[0], int32(first.array[order.array])])


def flattened_before_reshape(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpFlattenConstBeforeReshape: a constant over the axes that the last one of a FULLY_CONNECTED became."""
    move, other, constant = rewriter.producer(node, 0, "RESHAPE"), node.inputs[1], node.constant(1)
    dense = rewriter.producer(move, 0, "FULLY_CONNECTED") if move is not None else None
    if move is None or dense is None or constant is None or other is None or rewriter.uses(move.output) != 1:
        return False
    source, after, last = move.inputs[0], move.output.shape or (), other.shape or ()
    short = last[next((i for i, n in enumerate(last) if n != 1), len(last)) :]
    if source is None or not source.is_static or not source.shape or move.constant(1) is None or not short:
        return False
    if max(len(source.shape), len(after), len(last)) > 4 or after[len(after) - len(short) :] != short:
        return False
    if source.shape[-1] != elements(last):
        return False
    return swap(rewriter, node, move, [source, Value((source.shape[-1],), other.dtype, flat(constant))])


def reshape_after_dense(rewriter: Rewriter, node: Node) -> bool:
    """MoveReshapeAfterFullyConnected: of a RESHAPE before a FULLY_CONNECTED and one behind it, both stand before it."""
    dense = rewriter.producer(node, 0, "FULLY_CONNECTED")
    if dense is None or rewriter.uses(dense.output) != 1 or rewriter.producer(dense, 0, "RESHAPE") is None:
        return False
    x, made, shape = dense.inputs[0], dense.output, node.output.shape
    if x is None or not (x.is_static and made.is_static and node.output.is_static) or not x.shape or not shape:
        return False
    if len(shape) < 2 or not made.shape or shape[-1] != made.shape[-1]:
        return False
    inputs, attributes, name = list(dense.inputs), {**dense.attributes, "keep_num_dims": True}, dense.name
    before = (*shape[:-1], x.shape[-1])
    dense.step, dense.part = node.step, node.part
    rewriter.change(node, dense.type, [dense.output, *inputs[1:]], attributes)
    rewriter.change(dense, "RESHAPE", [x, integers(before)])
    dense.output.shape = before
    dense.name, node.name = node.name, name
    return True
