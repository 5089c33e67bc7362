"""Small pruned networks, each with one operator in the usual place for it: what is asked what becomes of that operator.

Every network is a stem, a depthwise and a pruned 1x1 convolution, the operator, and a pooling with a classifier, which
is by itself right and sparse on all runtimes but the oldest (see XNN601).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import apply_unary, pruned, stem, trunk
from xnnlint.modelbuilder.modelfile import Value

Middle = Callable[[ModelBuilder, Value], Value]


class Example(Struct, frozen=True):
    """An operator in a network.

    Attributes:
        text: what is special about it, in a few words.
        fill: writes the network; returns the number of operators before those that the example is about.
    """

    text: str
    fill: Callable[[ModelBuilder], int]

    def build(self, kind: str) -> tuple[bytes, int]:
        """The model's bytes, and the index of the operator of that type."""
        g = ModelBuilder(1)
        before = self.fill(g)
        index = next(i for i, record in enumerate(g.operators) if i >= before and record.code == kind)
        return g.build(), index


def examples_of(kind: str) -> list[Example]:
    """Examples of an operator type; none of what is not built here."""
    return list(_examples(kind))


def _between(text: str, part: Middle) -> Example:
    """The operator between two 1x1 convolutions."""

    def fill(g: ModelBuilder) -> int:
        x = trunk(g)
        before = len(g.operators)
        _classified(g, pruned(g, part(g, x), 16))
        return before

    return Example(text, fill)


def _at_end(text: str, part: Callable[[ModelBuilder, Value], None]) -> Example:
    """The operator in place of the last pooling and what is behind it."""

    def fill(g: ModelBuilder) -> int:
        x = trunk(g)
        before = len(g.operators)
        part(g, x)
        return before

    return Example(text, fill)


def _classified(g: ModelBuilder, x: Value) -> None:
    g.output(g.fully_connected(g.reshape(g.mean(x, keep_dims=True), (1, x.shape[-1])), 5))


def _stem(g: ModelBuilder) -> int:
    x = stem(g)
    _classified(g, pruned(g, g.depthwise(x, fused="RELU"), 16))
    return 1  # behind its padding


def _padding(g: ModelBuilder) -> int:
    _classified(g, pruned(g, g.depthwise(stem(g), fused="RELU"), 16))
    return 0


_CONVOLUTIONS: dict[str, Middle] = {
    "a pruned 1x1, stored sparse": lambda g, x: pruned(g, x, 16),
    "a pruned 1x1, stored dense, beside one that is stored sparse": lambda g, x: pruned(g, x, 16, storage="dense"),
    "a 3x3 in the middle of the network": lambda g, x: g.conv2d(x, 16, 3, padding="SAME", fused="RELU"),
}
_DEPTHWISE: dict[str, Middle] = {
    "3x3, stride 1, padding SAME": lambda g, x: g.depthwise(x, 3, padding="SAME"),
    "3x3, stride 2, behind a padding of 1 on each side": lambda g, x: g.depthwise(g.pad(x), 3, 2, padding="VALID"),
    "3x3, stride 2, padding SAME on an even size": lambda g, x: g.depthwise(x, 3, 2, padding="SAME"),
    "7x7, stride 1, padding SAME": lambda g, x: g.depthwise(x, 7, padding="SAME"),
}


def _examples(kind: str) -> Iterator[Example]:
    if kind == "CONV_2D":
        yield Example("the stem: 3x3, stride 2, behind a padding of 1 on each side", _stem)
        yield from (_between(text, part) for text, part in _CONVOLUTIONS.items())
    elif kind == "DEPTHWISE_CONV_2D":
        yield from (_between(text, part) for text, part in _DEPTHWISE.items())
    elif kind in ("PAD", "PADV2", "MIRROR_PAD"):
        if kind == "PAD":
            yield Example("in front of the stem", _padding)
        yield _between("between two 1x1 convolutions", lambda g, x: g.pad(x, 1, kind))
    elif kind in ("DENSIFY", "DEQUANTIZE"):
        storage = "sparse" if kind == "DENSIFY" else "fp16"
        text = "the weights of a pruned 1x1, stored sparse" if kind == "DENSIFY" else "float16 weights, stored dense"
        yield _between(text, lambda g, x: pruned(g, x, 16, storage=storage))
        if kind == "DEQUANTIZE":
            yield _between("float16 weights, stored sparse", lambda g, x: pruned(g, x, 16, storage="sparse_fp16"))
    else:
        yield from _unary_or_binary(kind)
        yield from _reductions(kind)
        yield from _shapes(kind)


_UNARY = (
    *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "LOG", "NEG"),
    *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH", "SIGN"),
)
_BINARY = ("ADD", "MUL", "SUB", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")


def _unary_or_binary(kind: str) -> Iterator[Example]:
    if kind in _UNARY:
        yield _between("on a map", lambda g, x: apply_unary(g, kind, x))
    elif kind == "PRELU":
        yield _between("a slope for each channel", lambda g, x: g.prelu(x))
    elif kind in _BINARY:
        vector = (1, 1, 1, 16)
        # The second operand is between 0 and 1, so that nothing is divided by 0.
        parts: dict[str, Middle] = {
            "of two maps": lambda g, x: g.binary(kind, g.depthwise(x), g.unary("LOGISTIC", x)),
            "with a constant [1, 1, 1, C] first": lambda g, x: g.binary(
                kind, g.random_constant(vector), g.unary("LOGISTIC", x)
            ),
            "with a constant [1, 1, 1, C] second": lambda g, x: g.binary(kind, x, g.random_constant(vector)),
        }
        yield from (_between(text, part) for text, part in parts.items())


def _reductions(kind: str) -> Iterator[Example]:
    if kind not in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        return

    def with_flatten(g: ModelBuilder, x: Value) -> None:
        pooled = g.reduce(kind, x, (1, 2), keep_dims=True)
        g.output(g.fully_connected(g.reshape(pooled, (1, 16)), 5))

    yield _at_end("over height and width, keepdims=True, then RESHAPE", with_flatten)
    yield _at_end(
        "over height and width, keepdims=False", lambda g, x: g.output(g.fully_connected(g.reduce(kind, x, (1, 2)), 5))
    )
    yield _at_end("over the height alone", lambda g, x: g.output(g.reduce(kind, x, (1,))))


def _multiplied(g: ModelBuilder, x: Value) -> None:
    flat = g.reshape(x, (1, x.shape[1] * x.shape[2], 16))
    weights = g.random_constant((1, 16, 8))
    g.output(g.op("BATCH_MATMUL", [flat, weights], [(*flat.shape[:2], 8)])[0])


def _halves_added(g: ModelBuilder, x: Value) -> Value:
    first, second = g.split(x, 2)
    return g.binary("ADD", first, second)


def _shapes(kind: str) -> Iterator[Example]:
    middles: dict[str, tuple[str, Middle]] = {
        "MAX_POOL_2D": ("2x2, stride 2", lambda g, x: g.pool(kind, x, 2)),
        "AVERAGE_POOL_2D": ("2x2, stride 2", lambda g, x: g.pool(kind, x, 2)),
        "CONCATENATION": ("of two maps along the channels", lambda g, x: g.concat([g.depthwise(x), x])),
        "RESIZE_BILINEAR": ("to twice the size", lambda g, x: g.resize_bilinear(x, 2 * x.shape[1], 2 * x.shape[2])),
        "RESIZE_NEAREST_NEIGHBOR": (
            "to twice the size",
            lambda g, x: g.resize_bilinear(x, 2 * x.shape[1], 2 * x.shape[2], code=kind),
        ),
        "SPACE_TO_DEPTH": ("blocks of 2", lambda g, x: g.space_to_depth(x)),
        "TRANSPOSE": ("height and width exchanged", lambda g, x: g.transpose(x, (0, 2, 1, 3))),
        "SLICE": ("a part of the channels", lambda g, x: g.slice(x, (0, 0, 0, 0), (*x.shape[:3], 8))),
        "STRIDED_SLICE": (
            "a part of the channels",
            lambda g, x: g.strided_slice(x, (0, 0, 0, 0), (*x.shape[:3], 8), (1, 1, 1, 1)),
        ),
        "SPLIT": ("the channels in halves", _halves_added),
        "TRANSPOSE_CONV": ("2x2, stride 2", lambda g, x: g.transpose_conv(x, 16)),
        "SOFTMAX": ("over the channels", lambda g, x: g.softmax(x)),
        "SQUEEZE": ("and EXPAND_DIMS, of the batch", lambda g, x: g.expand_dims(g.squeeze(x, (0,)), 0)),
        "EXPAND_DIMS": ("and SQUEEZE, of the batch", lambda g, x: g.squeeze(g.expand_dims(x, 0), (0,))),
        "L2_NORMALIZATION": ("over the channels", lambda g, x: g.op(kind, [x], [x.shape])[0]),
        "LOG_SOFTMAX": ("over the channels", lambda g, x: g.op(kind, [x], [x.shape])[0]),
        "REVERSE_V2": (
            "over the height",
            lambda g, x: g.op(kind, [x, g.constant(np.array([1], np.int32))], [x.shape])[0],
        ),
    }
    if kind in middles:
        yield _between(*middles[kind])
    if kind == "RESHAPE":
        yield _at_end("behind the last pooling with keepdims=True", _classified)
        yield _between("of a map, and back", lambda g, x: g.reshape(g.reshape(x, (1, -1, 16)), x.shape))
    elif kind == "FULLY_CONNECTED":
        yield _at_end("the classifier, behind a pooling and a RESHAPE", _classified)
    elif kind == "DEPTH_TO_SPACE":
        yield _at_end("at the end of the network, blocks of 2", lambda g, x: g.output(g.depth_to_space(x)))
    elif kind == "BATCH_MATMUL":
        yield _at_end("of the flattened map and a constant", _multiplied)
