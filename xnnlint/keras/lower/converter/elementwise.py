"""Rewrites of elementwise operators. See `rewrite` for the sources."""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.converter.constants import equals, is_scalar
from xnnlint.keras.lower.program import Node, Value, broadcast
from xnnlint.keras.lower.rewriter import Rewriter


def hard_swish(rewriter: Rewriter, node: Node) -> bool:
    """MatchHardSwishPattern1 to 6: x * relu6(x + 3) / 6 in any order that they know."""
    if node.activation != "NONE":
        return False
    for gated, scaled in ((0, 1), (1, 0)):
        sixth = node.constant(scaled)
        product = rewriter.producer(node, gated, "MUL")
        if sixth is not None and product is not None and gated == 0:
            # (x * relu6(x + 3)) * 1/6
            x, other = product.inputs
            if is_scalar(sixth, 0.166666666) and product.activation == "NONE" and _is_relu6_of(rewriter, other, x):
                return rewriter.change(node, "HARD_SWISH", [x])
        elif product is not None and product.activation == "NONE":
            # x * (relu6(x + 3) * 1/6)
            x, (inner, _) = node.inputs[scaled], product.inputs
            if equals(product.constant(1), 0.166666672) and _is_relu6_of(rewriter, inner, x):
                return rewriter.change(node, "HARD_SWISH", [x])
    return False


def _is_relu6_of(rewriter: Rewriter, value: Value | None, x: Value | None) -> bool:
    node = value.producer if value is not None else None
    return (
        node is not None
        and node.type == "ADD"
        and node.activation == "RELU6"
        and node.inputs[0] is x
        and equals(node.constant(1), 3.0)
    )


def division_to_product(rewriter: Rewriter, node: Node) -> bool:
    """RealDivWithF32ConstDivisor."""
    divisor = node.constant(1)
    if divisor is None or node.inputs[1] is None:
        return False
    inverse = divisor.derive("inverse", lambda a: (np.float32(1) / a).astype(np.float32))
    other = Value(node.inputs[1].shape, "FLOAT32", inverse)
    return rewriter.change(node, "MUL", [node.inputs[0], other], node.attributes)


def neutral(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeMul1ToIdentity, and TensorFlow's folding of x + 0, x - 0 and x / 1."""
    if node.type == "MUL" and node.constant(0) is not None:
        rewriter.change(node, "MUL", node.inputs[::-1], node.attributes)
    x = node.inputs[0]
    nothing = 0.0 if node.type in ("ADD", "SUB") else 1.0
    same = x is not None and x.constant is None and x.shape == node.output.shape and node.activation == "NONE"
    return same and equals(node.constant(1), nothing) and rewriter.replace(node.output, x)  # type: ignore[arg-type]


def two_additions(rewriter: Rewriter, node: Node) -> bool:
    """ReorderAddToAllowConstFold."""
    first = rewriter.producer(node, 0, "ADD")
    if first is None or first.activation != "NONE" or rewriter.uses(first.output) != 1:
        return False
    a, b = first.constant(1), node.constant(1)
    if a is None or b is None or first.inputs[1] is None or node.inputs[1] is None:
        return False
    total = a.derive("ADD", lambda v: v + b.array, [b])
    shape = broadcast(first.inputs[1].shape or (), node.inputs[1].shape or ())
    return rewriter.change(node, "ADD", [first.inputs[0], Value(shape, "FLOAT32", total)], node.attributes)


def maximum_to_relu(rewriter: Rewriter, node: Node) -> bool:
    """MatchReluPattern, MatchRelu1Pattern2, MatchLeakyRelu."""
    if equals(node.constant(1), 0.0):
        readers = rewriter.readers(node.output)
        if rewriter.uses(node.output) == len(readers) == 1 and readers[0].type == "MINIMUM":
            last = readers[0]
            if last.inputs[0] is node.output and equals(last.constant(1), 6.0):
                return rewriter.change(last, "RELU6", [node.inputs[0]])
        return rewriter.change(node, "RELU", [node.inputs[0]])
    low = rewriter.producer(node, 0, "MINIMUM")
    if low is not None and equals(node.constant(1), -1.0) and equals(low.constant(1), 1.0):
        return rewriter.change(node, "RELU_N1_TO_1", [low.inputs[0]])
    for slot in (0, 1):
        scaled = rewriter.producer(node, slot, "MUL")
        alpha = scaled.constant(1) if scaled is not None else None
        if scaled is None or alpha is None or scaled.inputs[0] is not node.inputs[1 - slot] or slot == 1:
            continue
        number = alpha.scalar
        if number is not None and abs(number) < 1 and scaled.activation == "NONE" and rewriter.uses(scaled.output) == 1:
            return rewriter.change(node, "LEAKY_RELU", [scaled.inputs[0]], {"alpha": number})
    return False


def minimum_to_relu(rewriter: Rewriter, node: Node) -> bool:
    """MinimumOfReluAnd6ToRelu6, MatchRelu1Pattern1."""
    relu = rewriter.producer(node, 0, "RELU")
    if relu is not None and equals(node.constant(1), 6.0):
        return rewriter.change(node, "RELU6", list(relu.inputs))
    top = rewriter.producer(node, 0, "MAXIMUM")
    if top is not None and equals(node.constant(1), 1.0) and equals(top.constant(1), -1.0):
        return rewriter.change(node, "RELU_N1_TO_1", [top.inputs[0]])
    return False


def relu_of_minimum(rewriter: Rewriter, node: Node) -> bool:
    """MinimumOfReluAnd6ToRelu62."""
    low = rewriter.producer(node, 0, "MINIMUM")
    return low is not None and equals(low.constant(1), 6.0) and rewriter.change(node, "RELU6", [low.inputs[0]])


def relu_of_squares(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeReluSquaredDifference."""
    squares = rewriter.producer(node, 0, "SQUARED_DIFFERENCE")
    return squares is not None and rewriter.change(node, squares.type, list(squares.inputs), dict(squares.attributes))
