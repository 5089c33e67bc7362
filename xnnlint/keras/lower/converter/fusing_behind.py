"""Numbers and vectors before a weighted operator go into it. See `rewrite` for the sources."""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.converter.constants import BINARY, make
from xnnlint.keras.lower.program import Constant, Node, Value, elements
from xnnlint.keras.lower.rewriter import Rewriter


def fuse_into_following(rewriter: Rewriter, node: Node) -> bool:
    """FuseBinaryOpToFollowingAffineOp: a number that is added, subtracted or multiplied before a weighted operator."""
    before = rewriter.producer(node, 0, *BINARY)
    other = before.constant(1) if before is not None else None
    filter_, weights = node.constant(1), node.inputs[1]
    if before is None or other is None or filter_ is None or weights is None or before.activation != "NONE":
        return False
    value = before.inputs[1]
    bias = node.constant(2)
    if value is None or elements(value.shape or ()) != 1 or (node.inputs[2] is not None and bias is None):
        return False
    inputs = [before.inputs[0], *node.inputs[1:]]
    if before.type in ("MUL", "DIV"):
        scaled = filter_.scaled(other, 0, divide=before.type == "DIV")
        inputs[1] = Value(weights.shape, "FLOAT32", scaled, name=weights.name)
        return rewriter.change(node, node.type, inputs, node.attributes)
    if node.attributes.get("padding", "VALID") != "VALID":
        return False
    axis = 3 if node.type == "DEPTHWISE_CONV_2D" else 0
    channels = int((weights.shape or (0,))[axis] or 0)
    sign = 1 if before.type == "ADD" else -1
    axes = tuple(d for d in range(len(weights.shape or ())) if d != axis)

    def shifted(values: np.ndarray) -> np.ndarray:
        moved: np.ndarray = values.sum(axis=axes) * (sign * other.array.reshape(-1)[0])
        return (moved + (0 if bias is None else bias.array)).astype(np.float32)

    total = filter_.derive(("shifted", sign), shifted, [other, *([bias] if bias is not None else [])])
    inputs[2] = make(total, (channels,))
    return rewriter.change(node, node.type, inputs, node.attributes)


def vector_into_dense(rewriter: Rewriter, node: Node) -> bool:
    """FuseAddAndFullyConnected, FuseMulAndFullyConnected: a vector along the input's last axis."""
    before = rewriter.producer(node, 0, "ADD", "MUL")
    other = before.constant(1) if before is not None else None
    filter_, weights, bias = node.constant(1), node.inputs[1], node.constant(2)
    if before is None or other is None or filter_ is None or weights is None or before.activation != "NONE":
        return False
    if len((before.inputs[1].shape or ()) if before.inputs[1] is not None else ()) != 1:
        return False
    inputs = [before.inputs[0], *node.inputs[1:]]
    if before.type == "MUL":
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 1), name=weights.name)
    elif bias is None:
        return False
    else:
        total = filter_.derive("shifted by", lambda a: a @ _spread(other, a.shape[1]) + bias.array, [other, bias])
        inputs[2] = make(total, (int((weights.shape or (0,))[0] or 0),))
    return rewriter.change(node, node.type, inputs, node.attributes)


def _spread(constant: Constant, size: int) -> np.ndarray:
    return np.broadcast_to(constant.array.reshape(-1), (size,))
