"""Rewrites around RESHAPE and its kin. See `rewrite` for the sources."""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.converter.constants import BINARY
from xnnlint.keras.lower.converter.known_sizes import int32
from xnnlint.keras.lower.program import Node, Value
from xnnlint.keras.lower.rewriter import Rewriter

_MOVES = ("DEPTH_TO_SPACE", "EXPAND_DIMS", "SQUEEZE", "RESHAPE", "TRANSPOSE")


def swap(rewriter: Rewriter, node: Node, move: Node, inputs: list[Value | None]) -> bool:
    """value(move(x)) -> move(value(x)): each takes the other's part, and both stand where the last one was."""
    type_, attributes, name = node.type, node.attributes, node.name
    moving, settings, of = move.type, move.attributes, move.name
    first, second = move.output, node.output
    rest = list(move.inputs[1:])
    source = inputs[0]
    # In this order, so that all that either reads always has a reader.
    rewriter.change(node, moving, [first, *rest, *inputs], settings)
    rewriter.change(move, type_, inputs, attributes)
    rewriter.change(node, moving, [first, *rest], settings)
    move.step, move.part = node.step, node.part
    node.name, move.name = of, name
    first.shape, first.dtype = (source.shape if source is not None else None), second.dtype
    return True


def move_value_before(rewriter: Rewriter, node: Node) -> bool:
    """ReorderElementwiseAndMoveOperations."""
    move = rewriter.producer(node, 0, *_MOVES)
    if move is None or rewriter.uses(move.output) != 1:
        return False
    return swap(rewriter, node, move, [move.inputs[0]])


def move_binary_before(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpConstBeforeReshape."""
    move = rewriter.producer(node, 0, "RESHAPE")
    other, constant = node.inputs[1], node.constant(1)
    if move is None or constant is None or other is None or move.constant(1) is None or rewriter.uses(move.output) != 1:
        return False
    source, last = move.inputs[0], other.shape or ()
    shapes = [source.shape if source is not None else None, move.output.shape]
    for shape in shapes:
        if shape is None or len(shape) > 4 or len(last) > len(shape) or tuple(shape[len(shape) - len(last) :]) != last:
            return False
    return swap(rewriter, node, move, [source, other])


def two_reshapes_before(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpBeforeReshape: of two tensors that are reshaped alike, the result is."""
    moves = [rewriter.producer(node, slot, "RESHAPE") for slot in (0, 1)]
    if any(m is None or m.constant(1) is None for m in moves):
        return False
    left, right = (m for m in moves if m is not None)
    x, y = left.inputs[0], right.inputs[0]
    alone = (
        rewriter.uses(left.output)
        == (2 if left is right else 1)
        == (2 if left is right else rewriter.uses(right.output))
    )
    if not alone or x is None or y is None or x.shape is None or x.shape != y.shape:
        return False
    if left.output.shape != right.output.shape:
        return False
    return swap(rewriter, node, left, [x, y])


def needless_reshape(rewriter: Rewriter, node: Node) -> bool:
    """RemoveRedundantReshapeUsedAsLhsTo, ...RhsTo: a RESHAPE that only adds axes of size 1, which are implied."""
    for slot in (0, 1):
        move, other = rewriter.producer(node, slot, "RESHAPE"), node.inputs[1 - slot]
        x = move.inputs[0] if move is not None else None
        if move is None or x is None or other is None or not (x.is_static and other.is_static):
            continue
        before, after, against = x.shape or (), move.output.shape or (), other.shape or ()
        shorter = after[next((i for i, n in enumerate(after) if n != 1), len(after)) :]
        alone = rewriter.uses(move.output) == 1 or all(r.type in BINARY for r in rewriter.readers(move.output))
        fits = len(before) <= len(after) <= len(against) <= 4 and shorter and before[-len(shorter) :] == shorter
        if move.constant(1) is not None and alone and fits and None not in after:
            inputs = [x if i == slot else v for i, v in enumerate(node.inputs)]
            return rewriter.change(node, node.type, inputs, node.attributes)
    return False


def reshape_for_nothing(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE that changes nothing (`ReshapeOp::fold`)."""
    x = node.inputs[0]
    return x is not None and x.is_static and x.shape == node.output.shape and rewriter.replace(node.output, x)


def two_reshapes(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE of a RESHAPE. A canonicalization, and so not among the patterns that turn EXPAND_DIMS into RESHAPE."""
    before = rewriter.producer(node, 0, "RESHAPE")
    return before is not None and rewriter.change(node, "RESHAPE", [before.inputs[0], *node.inputs[1:]])


def keep_reduced(rewriter: Rewriter, node: Node) -> bool:
    """FoldReshapeTo...: a reduction whose axes a RESHAPE puts back keeps them."""
    kinds = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    reduce, target = rewriter.producer(node, 0, *kinds), node.constant(1)
    if reduce is None or target is None or reduce.attributes.get("keep_dims") or rewriter.uses(reduce.output) != 1:
        return False
    axes, x = reduce.constant(1), reduce.inputs[0]
    if axes is None or x is None or x.shape is None:
        return False
    gone = {int(a) for a in axes.array.reshape(-1)}
    kept = [1 if d in gone else n for d, n in enumerate(x.shape)]
    if target.array.reshape(-1).tolist() != kept:
        return False
    rewriter.change(node, reduce.type, list(reduce.inputs), {**reduce.attributes, "keep_dims": True})
    node.name = reduce.name
    return True


def static_expansion(rewriter: Rewriter, node: Node) -> bool:
    """ConvertExpandDimsToReshape."""
    shape = node.output.shape
    if shape is None or None in shape:
        return False
    return rewriter.change(node, "RESHAPE", [node.inputs[0], integers(shape)])


def pad_for_nothing(rewriter: Rewriter, node: Node) -> bool:
    """A PAD by nothing."""
    x = node.inputs[0]
    return x is not None and x.is_static and x.shape == node.output.shape and rewriter.replace(node.output, x)


def squeeze_to_reshape(rewriter: Rewriter, node: Node) -> bool:
    """ConvertSqueezeToReshape, where one dimension at most is dynamic."""
    shape = node.output.shape
    if shape is None or shape.count(None) > 1:
        return False
    return rewriter.change(node, "RESHAPE", [node.inputs[0], integers(shape)])


def trivial_transpose(rewriter: Rewriter, node: Node) -> bool:
    """ConvertTrivialTransposeOpToReshapeOp: only axes of size 1 change their places."""
    x, order = node.inputs[0], node.constant(1)
    if x is None or not x.is_static or order is None or x.shape is None or node.output.shape is None:
        return False
    large = [d for d in order.array.tolist() if x.shape[d] != 1]
    return large == sorted(large) and rewriter.change(node, "RESHAPE", [x, integers(node.output.shape)])


def integers(shape: tuple[int | None, ...]) -> Value:
    return int32(np.array([-1 if n is None else n for n in shape]))


def reshape_before_dense(rewriter: Rewriter, node: Node) -> bool:
    """RemoveReshapeBeforeFullyConnected: FULLY_CONNECTED flattens its input anyway."""
    move = rewriter.producer(node, 0, "RESHAPE")
    if move is None or node.attributes.get("keep_num_dims") or len(node.output.shape or ()) != 2:
        return False
    x = move.inputs[0]
    if x is None or not (x.is_static and move.output.is_static and node.output.is_static) or not x.shape:
        return False
    same = move.output.shape is not None and x.shape[-1] == move.output.shape[-1]
    return same and rewriter.change(node, node.type, [x, *node.inputs[1:]], node.attributes)


def pad_to_same(rewriter: Rewriter, node: Node) -> bool:
    """FuseSamePaddingConv2D, FuseSamePaddingDepthwiseConv: explicit padding that is what SAME would do."""
    pad = rewriter.producer(node, 0, "PAD")
    if pad is None or node.attributes.get("padding") != "VALID" or pad.constant(1) is None:
        return False
    x, weights, paddings = pad.inputs[0], node.inputs[1], pad.constant(1)
    if x is None or weights is None or paddings is None or x.shape is None or len(x.shape) != 4 or not weights.shape:
        return False
    amounts = paddings.array.tolist()
    if amounts[0] != [0, 0] or amounts[3] != [0, 0] or len({n for p in amounts for n in p}) == 1:
        return False
    for d, axis in ((1, "h"), (2, "w")):
        size, kernel = x.shape[d], weights.shape[d]
        before, after = amounts[d]
        if size is None or kernel is None or not 0 <= after - before <= 1:
            return False
        stride, dilation = int(node.attributes[f"stride_{axis}"]), int(node.attributes[f"dilation_{axis}_factor"])
        needed = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
        if needed != before + after:
            return False
    return rewriter.change(node, node.type, [x, *node.inputs[1:]], {**node.attributes, "padding": "SAME"})
