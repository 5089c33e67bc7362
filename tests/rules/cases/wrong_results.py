from __future__ import annotations

from tests.rules.case_parts import PLAIN, Pair, depthwise, head, middle
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, stem, tail


def _answer_with_input(g: ModelBuilder) -> None:
    x = g.input((1, 24, 40, 3))
    g.output(x)
    tail(g, pruned(g, g.depthwise(g.conv2d(g.pad(x), 8, 3, 2, fused="RELU"), fused="RELU"), 16))


def _answer_with_unread_input(g: ModelBuilder) -> None:
    tail(g, pruned(g, g.depthwise(stem(g), fused="RELU"), 16))
    g.output(g.input((1, 3, 5), "unread"))


PAIRS = [
    Pair(
        "XNN901 softmax in the middle",
        middle(lambda g, x: g.softmax(x)),
        PLAIN,
        "wrong-results",
        "CONV_2D",
        "SOFTMAX at softmax (SOFTMAX #",
        "without EXPERIMENTAL_SPARSITY the model is correct",
        unlocks=False,
    ),
    Pair(
        "XNN901 an input as an output",
        _answer_with_input,
        PLAIN,
        "wrong-results",
        "PAD",
        "that is an output, too",
        "leave the input out",
        unlocks=False,
    ),
    Pair(
        "XNN901 an input that nobody reads as an output",
        _answer_with_unread_input,
        PLAIN,
        "wrong-results",
        "PAD",
        "that is an output, too",
        "leave the input out",
        unlocks=False,
    ),
    # The fixed model pads as TensorFlow does: the width by 0, where the last window ends before the map does.
    Pair(
        "XNN901 same padding below 0 on an old runtime",
        head(lambda g, x: tail(g, g.depthwise(g.depth_to_space(x), (3, 1), 2))),
        head(lambda g, x: tail(g, depthwise((3, 1), ((0, 0), (0, 1), (0, 0), (0, 0)), 2)(g, g.depth_to_space(x)))),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "'same' padding of a 3x1 kernel at stride 2x2 on a map of 24x40",
        "padding='valid' behind ZeroPadding2D(((0, 1), (0, 0)))",
        runtime="litert-2.1.5",
        unlocks=False,
    ),
]
