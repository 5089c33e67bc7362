from __future__ import annotations

from collections.abc import Callable

from tests.rules.case_parts import Fill, Pair, first_convolution
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned, tail


def entry(part: Callable[[ModelBuilder], Value]) -> Fill:
    """The part, which makes the input and the stem, then depthwise, a pruned 1x1 convolution, tail."""
    return lambda g: tail(g, pruned(g, g.depthwise(part(g), fused="RELU"), 16))


PAIRS = [
    Pair(
        "XNN101 same padding",
        entry(first_convolution("SAME", False)),
        entry(first_convolution("VALID", True)),
        "dense",
        "CONV_2D",
        "'same' padding at stride 2x2",
        "ZeroPadding2D(1)",
    ),
    Pair(
        "XNN101 four channels",
        entry(first_convolution("VALID", True, 4)),
        entry(first_convolution("VALID", True)),
        "dense",
        "CONV_2D",
        "4 input channels",
        "3 input channels",
    ),
]
