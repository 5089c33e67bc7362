"""The TFLite operators that the XNNPACK delegate knows, a row each; whatever else there is, TFLite runs itself.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `Subgraph::VisitNode`, read at f674577
(2026-08-21). What the nodes are at run time stands by node type: `kernels.NAMED` and `execution.STEPS`.
"""

from __future__ import annotations

from msgspec import Struct

from xnnlint.xnnpack import attention
from xnnlint.xnnpack.attention import ATTENTION
from xnnlint.xnnpack.delegate import accept_layers, accept_shapes, accept_simple
from xnnlint.xnnpack.delegate.accept_checks import Check
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.lower import lower_layers, lower_shapes, lower_simple
from xnnlint.xnnpack.lower.lower_values import Visitor


class DelegateOperator(Struct, frozen=True):
    """How the delegate treats one type of operator.

    Attributes:
        accept: what it objects to.
        lower: how it defines nodes for it.
        nodes: the types of the nodes that it may define.
        values: the input slots that become values; the others become parameters of the node. None for all.
    """

    accept: Check
    lower: Visitor
    nodes: tuple[str, ...]
    values: tuple[int, ...] | None = None


_DATA = (0,)
_CONVERTED = NodeType.UNARY
"""The node in front of integer weights that quantizes fp32 values while it runs."""
_CLAMPED = NodeType.UNARY
"""The node that applies a fused activation, or stands for a pool of one pixel."""


def _unary(operator: str) -> DelegateOperator:
    return DelegateOperator(accept_simple.unary, lower_simple.unary(operator), (NodeType.UNARY,))


def _clamp() -> DelegateOperator:
    return DelegateOperator(accept_simple.unary, lower_simple.clamp, (NodeType.UNARY,))


def _binary(operator: str) -> DelegateOperator:
    return DelegateOperator(accept_simple.binary, lower_simple.binary(operator), (NodeType.BINARY, _CLAMPED))


def _reduce(kind: str, *old: str) -> DelegateOperator:
    return DelegateOperator(accept_shapes.reduce, lower_shapes.reduce(kind), (kind, *old), _DATA)


OPERATORS: dict[str, DelegateOperator] = {
    "ABS": _unary("abs"),
    "CEIL": _unary("ceiling"),
    "COS": _unary("cosine"),
    "DEQUANTIZE": _unary("convert"),
    "ELU": _unary("elu"),
    "EXP": _unary("exp"),
    "FLOOR": _unary("floor"),
    "GELU": _unary("gelu"),
    "HARD_SWISH": _unary("hardswish"),
    "LEAKY_RELU": _unary("leaky_relu"),
    "LOG": _unary("log"),
    "LOGISTIC": _unary("sigmoid"),
    "NEG": _unary("negate"),
    "QUANTIZE": _unary("convert"),
    "ROUND": _unary("bankers_rounding"),
    "RSQRT": _unary("reciprocal_square_root"),
    "SIN": _unary("sine"),
    "SQRT": _unary("square_root"),
    "SQUARE": _unary("square"),
    "TANH": _unary("tanh"),
    "RELU": _clamp(),
    "RELU_N1_TO_1": _clamp(),
    "RELU6": _clamp(),
    "ADD": _binary("add"),
    "DIV": _binary("divide"),
    "MAXIMUM": _binary("maximum"),
    "MINIMUM": _binary("minimum"),
    "MUL": _binary("multiply"),
    "PRELU": _binary("prelu"),
    "SQUARED_DIFFERENCE": _binary("squared_difference"),
    "SUB": _binary("subtract"),
    "READ_VARIABLE": DelegateOperator(accept_simple.read_variable, lower_simple.read_variable, (NodeType.COPY,)),
    "ASSIGN_VARIABLE": DelegateOperator(accept_simple.assign_variable, lower_simple.assign_variable, (NodeType.COPY,)),
    "VAR_HANDLE": DelegateOperator(accept_simple.var_handle, lower_simple.nothing, ()),
    "CONV_2D": DelegateOperator(
        accept_layers.conv_2d,
        lower_layers.conv_2d,
        (NodeType.CONVOLUTION_2D, NodeType.FULLY_CONNECTED, _CONVERTED),
    ),
    "DEPTHWISE_CONV_2D": DelegateOperator(
        accept_layers.depthwise_conv_2d, lower_layers.depthwise_conv_2d, (NodeType.DEPTHWISE_CONVOLUTION_2D,)
    ),
    "FULLY_CONNECTED": DelegateOperator(
        accept_layers.fully_connected,
        lower_layers.fully_connected,
        (NodeType.FULLY_CONNECTED, NodeType.RESHAPE, _CONVERTED),
    ),
    "TRANSPOSE_CONV": DelegateOperator(
        accept_layers.transpose_conv, lower_layers.transpose_conv, (NodeType.DECONVOLUTION_2D, _CONVERTED), (1, 2, 3)
    ),
    "BATCH_MATMUL": DelegateOperator(
        accept_layers.batch_matmul,
        lower_layers.batch_matmul,
        (NodeType.BATCH_MATRIX_MULTIPLY, NodeType.TRANSPOSE, _CONVERTED),
    ),
    "AVERAGE_POOL_2D": DelegateOperator(accept_layers.pool, lower_layers.pool, (NodeType.AVERAGE_POOLING_2D, _CLAMPED)),
    "MAX_POOL_2D": DelegateOperator(accept_layers.pool, lower_layers.pool, (NodeType.MAX_POOLING_2D, _CLAMPED)),
    # Old runtimes know these as global poolings.
    "MEAN": _reduce(NodeType.MEAN, NodeType.GLOBAL_AVERAGE_POOLING_2D, NodeType.OTHER),
    "SUM": _reduce(NodeType.SUM, NodeType.OTHER),
    "REDUCE_MAX": _reduce(NodeType.REDUCE_MAX),
    "REDUCE_MIN": _reduce(NodeType.REDUCE_MIN),
    "PAD": DelegateOperator(accept_shapes.pad, lower_shapes.pad, (NodeType.CONSTANT_PAD,), _DATA),
    "RESHAPE": DelegateOperator(accept_shapes.reshape, lower_shapes.reshape, (NodeType.RESHAPE,), _DATA),
    "RESIZE_BILINEAR": DelegateOperator(
        accept_shapes.resize_bilinear, lower_shapes.resize_bilinear, (NodeType.RESIZE_BILINEAR,), _DATA
    ),
    "CONCATENATION": DelegateOperator(accept_shapes.concatenation, lower_shapes.concatenation, (NodeType.CONCATENATE,)),
    "SLICE": DelegateOperator(accept_shapes.slice_, lower_shapes.slice_, (NodeType.SLICE,), _DATA),
    "STRIDED_SLICE": DelegateOperator(
        accept_shapes.strided_slice, lower_shapes.strided_slice, (NodeType.SLICE,), _DATA
    ),
    "TRANSPOSE": DelegateOperator(accept_shapes.transpose, lower_shapes.transpose, (NodeType.TRANSPOSE,), _DATA),
    "SPLIT": DelegateOperator(accept_shapes.split, lower_shapes.split, (NodeType.EVEN_SPLIT,), (1,)),
    "SOFTMAX": DelegateOperator(accept_shapes.softmax, lower_shapes.softmax, (NodeType.SOFTMAX,)),
    "DEPTH_TO_SPACE": DelegateOperator(accept_shapes.block, lower_shapes.block, (NodeType.DEPTH_TO_SPACE_2D,)),
    "SPACE_TO_DEPTH": DelegateOperator(accept_shapes.block, lower_shapes.block, (NodeType.SPACE_TO_DEPTH_2D,)),
    # The delegate knows it, and refuses it whatever it is like.
    "EXPAND_DIMS": DelegateOperator(accept_shapes.expand_dims, lower_simple.nothing, (), _DATA),
}

CUSTOM_OPERATORS: dict[str, DelegateOperator] = {
    "Convolution2DTransposeBias": DelegateOperator(
        accept_layers.mediapipe_deconvolution, lower_layers.mediapipe_deconvolution, (NodeType.DECONVOLUTION_2D,)
    ),
    "MaxPoolingWithArgmax2D": DelegateOperator(
        accept_layers.mediapipe_max_pooling, lower_layers.mediapipe_max_pooling, (NodeType.ARGMAX_POOLING_2D,)
    ),
    ATTENTION: DelegateOperator(
        attention.accept,
        attention.lower,
        (
            *(NodeType.BINARY, NodeType.UNARY, NodeType.TRANSPOSE, NodeType.RESHAPE, NodeType.SOFTMAX),
            *(NodeType.FULLY_CONNECTED, NodeType.BATCH_MATRIX_MULTIPLY),
        ),
    ),
    "MaxUnpooling2D": DelegateOperator(
        accept_layers.mediapipe_unpooling, lower_layers.mediapipe_unpooling, (NodeType.UNPOOLING_2D,)
    ),
}
"""MediaPipe's operators and attention, by custom code."""


def delegate_operator(type_: str, custom_code: str) -> DelegateOperator | None:
    """The row of an operator; None where the delegate does not know it."""
    return CUSTOM_OPERATORS.get(custom_code) if type_ == "CUSTOM" else OPERATORS.get(type_)
