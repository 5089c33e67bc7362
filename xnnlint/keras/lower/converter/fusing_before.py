"""Numbers and activations behind a weighted operator go into it. See `rewrite` for the sources."""

from __future__ import annotations

import numpy as np

from xnnlint.keras.lower.converter.constants import ACTIVATIONS, BINARY, CONVOLUTIONS, combined, fits_channels, make
from xnnlint.keras.lower.program import Constant, Node, Value
from xnnlint.keras.lower.rewriter import Rewriter

_FUSING = (*BINARY, *CONVOLUTIONS, "AVERAGE_POOL_2D", "MAX_POOL_2D", "FULLY_CONNECTED")


def fuse_with_convolution(rewriter: Rewriter, node: Node) -> bool:
    """FuseBinaryOpToPrecedingAffine, FuseMulOrDivWithConv2dOrDepthwiseConv2d."""
    conv = rewriter.producer(node, 0, *CONVOLUTIONS)
    value, other = node.inputs[1], node.constant(1)
    if conv is None or other is None or value is None or conv.activation != "NONE" or rewriter.uses(conv.output) != 1:
        return False
    weights, filter_, bias = conv.inputs[1], conv.constant(1), conv.constant(2)
    if bias is None or weights is None or not weights.shape:
        return False
    axis = 3 if conv.type == "DEPTHWISE_CONV_2D" else 0
    channels = int(weights.shape[axis] or 0)
    if not fits_channels(value, channels):
        return False
    inputs = list(conv.inputs)
    if node.type in ("MUL", "DIV"):
        if filter_ is None:
            return False
        scaled = filter_.scaled(other, axis, divide=node.type == "DIV")
        inputs[1] = Value(weights.shape, "FLOAT32", scaled, name=weights.name)
    inputs[2] = make(combined(bias, node.type, other), (channels,))
    return rewriter.become(node, conv, inputs, node.activation)


def fuse_with_transpose_conv(rewriter: Rewriter, node: Node) -> bool:
    """The same for TRANSPOSE_CONV, whose bias is its fourth input, and absent at first.

    It has no pattern for an activation behind it, which is fused if it was fused into what is added before.
    """
    conv = rewriter.producer(node, 0, "TRANSPOSE_CONV")
    readers = rewriter.readers(node.output)
    if len(readers) == 1 and readers[0].type in ACTIVATIONS and rewriter.uses(node.output) == 1:
        return False
    value, other = node.inputs[1], node.constant(1)
    if conv is None or other is None or value is None or conv.activation != "NONE" or rewriter.uses(conv.output) != 1:
        return False
    weights, filter_, bias = conv.inputs[1], conv.constant(1), conv.constant(3)
    if weights is None or filter_ is None or not weights.shape:
        return False
    channels = int(weights.shape[0] or 0)
    if not fits_channels(value, channels):
        return False
    inputs = [*conv.inputs[:3]]
    if node.type in ("MUL", "DIV"):
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 0, node.type == "DIV"), name=weights.name)
    if bias is None and node.type in ("ADD", "SUB"):
        zeros = Constant(lambda: np.zeros(channels, np.float32), ("zeros", channels))
        inputs.append(make(combined(zeros, node.type, other), (channels,)))
    elif bias is not None:
        inputs.append(make(combined(bias, node.type, other), (channels,)))
    return rewriter.become(node, conv, inputs, node.activation)


def fuse_with_fully_connected(rewriter: Rewriter, node: Node) -> bool:
    """FuseFullyConnectedAndAdd, FuseFullyConnectedAndMul."""
    dense = rewriter.producer(node, 0, "FULLY_CONNECTED")
    value, other = node.inputs[1], node.constant(1)
    if dense is None or other is None or value is None or dense.activation != "NONE" or node.type not in ("ADD", "MUL"):
        return False
    weights, filter_, bias = dense.inputs[1], dense.constant(1), dense.constant(2)
    if rewriter.uses(dense.output) != 1 or weights is None or filter_ is None or not weights.shape:
        return False
    units = int(weights.shape[0] or 0)
    has_bias = dense.inputs[2] is not None
    if not fits_channels(value, units) or (has_bias and bias is None) or dense.output.shape != node.output.shape:
        return False
    inputs = list(dense.inputs)
    if node.type == "MUL":
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 0), name=weights.name)
    if bias is not None:
        inputs[2] = make(combined(bias, node.type, other), (units,))
    elif node.type == "ADD":
        zeros = Constant(lambda: np.zeros(units, np.float32), ("zeros", units))
        inputs[2] = make(combined(zeros, "ADD", other), (units,))
    return rewriter.become(node, dense, inputs, node.activation)


def fuse_activation(rewriter: Rewriter, node: Node) -> bool:
    """FuseActFnIntoConvOpPat, FuseActFnIntoPoolOpPat, FusedBinaryActivationFuncOpPat, FuseFullyConnectedAndReluX."""
    source = rewriter.producer(node, 0, *_FUSING)
    if source is None or source.activation != "NONE":
        return False
    # An activation behind a FULLY_CONNECTED is fused even if others read that too: it is computed twice then.
    if source.type != "FULLY_CONNECTED" and rewriter.uses(source.output) != 1:
        return False
    return rewriter.become(node, source, list(source.inputs), node.type)
