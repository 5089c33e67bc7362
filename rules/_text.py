"""How rules put shapes, paddings and operators into words."""

from __future__ import annotations

from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.conditions.node_condition import Fact, Operand, Padding, Unmet
from xnnlint.xnnpack.ir import Node, NodeType

# The builtin operators behind XNNPACK's node types, where the two are not called alike.
TFLITE_TYPES = {
    "average_pooling_2d": "AVERAGE_POOL_2D",
    "concatenate": "CONCATENATION",
    "convolution_2d": "CONV_2D",
    "deconvolution_2d": "TRANSPOSE_CONV",
    "depth_to_space_2d": "DEPTH_TO_SPACE",
    "even_split": "SPLIT",
    "max_pooling_2d": "MAX_POOL_2D",
    "space_to_depth_2d": "SPACE_TO_DEPTH",
    "static_constant_pad": "PAD",
}


def dims(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def by(pair: tuple[int, int]) -> str:
    """(height, width) as "3x3"."""
    return f"{pair[0]}x{pair[1]}"


def side(amount: int) -> str:
    return f"padding {amount} on each side"


def padding_text(padding: Padding) -> str:
    """ "padding 1 on each side", "'same' padding at stride 2x2", or side by side."""
    if padding.same_at_stride is not None:
        return f"'same' padding at stride {by(padding.same_at_stride)}"
    top, right, bottom, left = padding.sides
    if top == right == bottom == left:
        return side(top)
    return f"padding top {top}, bottom {bottom}, left {left}, right {right}"


def window_words(unmet: Unmet) -> tuple[str, str]:
    """What a convolution's window should be, and is."""
    required, actual = unmet.required, unmet.actual
    match unmet.fact:
        case Fact.GROUPS:
            return "one group", f"{actual} groups"
        case Fact.DILATION:
            return "no dilation", f"dilation {by(actual)}"
        case Fact.PADDING:
            return side(required) if required else "no padding", padding_text(actual)
        case Fact.KERNEL:
            return f"kernel {_any_of(required)}", f"kernel {by(actual)}"
        case Fact.STRIDE:
            return f"stride {_any_of(required)}", f"stride {by(actual)}"
    assert unmet.fact in (Fact.INPUT_CHANNELS, Fact.DEPTH_MULTIPLIER), unmet.fact
    if unmet.fact is Fact.INPUT_CHANNELS:
        return f"{required} input channels", f"{actual} input channels"
    return f"depth multiplier {required}", f"depth multiplier {actual}"


def _any_of(pairs: tuple[tuple[int, int], ...]) -> str:
    return " or ".join(map(by, pairs))


def operand_text(operand: Operand) -> str:
    return f"{'constant' if operand.is_constant else 'tensor'} of shape {dims(operand.shape)}"


def node_type(node: Node) -> str:
    """A node's type, as the TFLite schema calls it where it can."""
    return tflite_type(node.type, node.operator)


def tflite_type(type_: str, operator: str = "") -> str:
    """`node_type` of a node's type and operator."""
    if type_ == NodeType.OTHER:
        return operator.upper()
    return TFLITE_TYPES.get(type_, type_.removeprefix("static_").upper())


def type_of(op: Operator) -> str:
    return op.custom_code or op.type


def named(graph: Graph, op: int) -> str:
    """An operator in a sentence: "max_pool (MAX_POOL_2D #7)"."""
    operator = graph.operators[op]
    return f"{operator.name or type_of(operator).lower()} ({type_of(operator)} #{op})"


def listed(words: list[str], most: int = 3) -> str:
    """Words in a row, each once: "a, b and c", or "a, b and 5 more"."""
    words = list(dict.fromkeys(words))
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def where_used(graph: Graph, tensor: int) -> str:
    """Where a tensor that crosses the border of a partition is used, or comes from."""
    if tensor in graph.outputs:
        return "an output of the model"
    if tensor in graph.inputs:
        return "an input of the model"
    readers = [type_of(op) for op in graph.consumers(tensor)]
    return f"outside XNNPACK's part of the graph, read by {listed(readers)}" if readers else "read by nothing"
