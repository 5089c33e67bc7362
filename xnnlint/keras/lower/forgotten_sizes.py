"""Sizes that Keras knows and the converter does not: those behind a Conv1DTranspose of Keras 2 with a dynamic batch.

Its shape is put together from parts of a shape (conv1d_transpose of tensorflow/tensorflow python/ops/nn_ops.py), which
the converter does not look through. What it makes of the operators behind it depends on that: a SQUEEZE stays one.
"""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.keras.lower.program import Node, Program, Shape, Value, broadcast, window

_SAME_SHAPE = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "SQUARED_DIFFERENCE", "SUB", "PRELU", "SELECT_V2")
_SINGLE = (
    "ABS", "ELU", "EXP", "GELU", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6", "RSQRT", "SOFTMAX", "SQRT",
    "SQUARE", "TANH",
)  # fmt: skip
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")


def forget_sizes(program: Program) -> None:
    """Gives every tensor the shape that the converter finds."""
    unknown: set[Value] = set()
    for node in program.nodes:
        if _is_put_together(node):
            shape = node.output.shape
            node.output.shape = (shape[0] if shape else None, 1, None, None)
            unknown.add(node.output)
            continue
        rule = _RULES.get(node.type)
        read = [value for value in node.inputs if value is not None]
        if rule is None or not unknown.intersection(read) or any(value.shape is None for value in read):
            continue
        found = rule(node)
        if found != node.output.shape:
            node.output.shape = found
            unknown.add(node.output)


def _is_put_together(node: Node) -> bool:
    """Whether an operator is a transposed convolution of which the converter does not know what comes out."""
    target = node.inputs[0].producer if node.type == "TRANSPOSE_CONV" and node.inputs[0] is not None else None
    parts = target.inputs if target is not None and target.type == "CONCATENATION" else []
    makers = [part.producer for part in parts if part is not None]
    return any(maker is not None and maker.type == "STRIDED_SLICE" for maker in makers)


def _shape(node: Node, slot: int = 0) -> list[int | None]:
    value = node.inputs[slot]
    return list(value.shape or ()) if value is not None else []


def _expanded(node: Node) -> Shape:
    shape, axis = _shape(node), node.constant(1)
    place = int(axis.array.reshape(-1)[0]) if axis is not None else 0
    shape.insert(place % (len(shape) + 1), 1)
    return tuple(shape)


def _squeezed(node: Node) -> Shape:
    shape = _shape(node)
    gone = {axis % len(shape) for axis in node.attributes["squeeze_dims"]}
    return tuple(n for d, n in enumerate(shape) if d not in gone)


def _slid(node: Node) -> Shape:
    """Of a window that slides over a map."""
    batch, height, width, channels = _shape(node)
    kernel = _shape(node, 1) if len(node.inputs) > 1 else []
    a = node.attributes
    sides = []
    for d, (size, axis) in enumerate(((height, "h"), (width, "w")), 1):
        extent = int((kernel[d] if kernel else a[f"filter_{'height' if axis == 'h' else 'width'}"]) or 1)
        same, dilation = a["padding"] == "SAME", int(a.get(f"dilation_{axis}_factor", 1))
        sides.append(window(size, extent, int(a[f"stride_{axis}"]), same, dilation))
    made = kernel[3 if node.type == "DEPTHWISE_CONV_2D" else 0] if kernel else channels
    return (batch, *sides, made)


def _padded(node: Node) -> Shape:
    amounts = node.constant(1)
    pairs = amounts.array.tolist() if amounts is not None else []
    return tuple(None if n is None else n + sum(p) for n, p in zip(_shape(node), pairs, strict=True))


def _reduced(node: Node) -> Shape:
    shape, axes = _shape(node), node.constant(1)
    gone = {int(a) % len(shape) for a in axes.array.reshape(-1)} if axes is not None else set()
    keep = node.attributes.get("keep_dims")
    return tuple(1 if d in gone else n for d, n in enumerate(shape) if keep or d not in gone)


def _joined(node: Node) -> Shape:
    shapes, axis = [_shape(node, slot) for slot in range(len(node.inputs))], int(node.attributes["axis"])
    place, out = axis % len(shapes[0]), []
    for d, sizes in enumerate(zip(*shapes, strict=True)):
        known = [n for n in sizes if n is not None]
        whole = len(known) == len(sizes)
        out.append((sum(known) if whole else None) if d == place else next(iter(known), None))
    return tuple(out)


_RULES: dict[str, Callable[[Node], Shape | None]] = {
    **{t: lambda node: broadcast(*(v.shape for v in node.inputs if v is not None)) for t in _SAME_SHAPE},
    **{t: lambda node: tuple(_shape(node)) for t in _SINGLE},
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"), _slid),
    "EXPAND_DIMS": _expanded,
    "SQUEEZE": _squeezed,
    "PAD": _padded,
    "CONCATENATION": _joined,
}
