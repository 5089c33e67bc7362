from __future__ import annotations

from tests.rules.case_parts import Fill, Pair, depthwise, excite, first_convolution, middle
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, tail


def _stem_and_pool(fixed: bool) -> Fill:
    """Two problems in one model, a stem with 'same' padding and a pool in the middle; or none."""

    def fill(g: ModelBuilder) -> None:
        x = g.depthwise(first_convolution("VALID" if fixed else "SAME", fixed)(g), fused="RELU")
        x = pruned(g, x, 16)
        x = g.depthwise(g.pad(x), 3, 2, "VALID") if fixed else g.pool("MAX_POOL_2D", x)
        tail(g, pruned(g, x, 24))

    return fill


PAIRS = [
    Pair(
        "XNN110 max pool",
        middle(lambda g, x: g.pool("MAX_POOL_2D", x)),
        middle(depthwise(3, 1, 2)),
        "wrong-results",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
    ),
    Pair(
        "XNN110 max pool of one pixel",
        middle(lambda g, x: g.pool("MAX_POOL_2D", x, (2, 1), (2, 1))),
        middle(lambda g, x: g.pool("MAX_POOL_2D", x, 1)),
        "wrong-results",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
    ),
    Pair(
        "XNN110 reshape for the pooled dimensions",
        middle(excite(False)),
        middle(excite(True)),
        "dense",
        "RESHAPE",
        "RESHAPE",
        "keepdims=True",
    ),
    Pair(
        "XNN110 concatenation",
        middle(lambda g, x: g.concat([pruned(g, x, 8), pruned(g, x, 8)])),
        middle(lambda g, x: g.binary("ADD", pruned(g, x, 8), pruned(g, x, 8))),
        "wrong-results",
        "CONCATENATION",
        "CONCATENATION",
        "add the branches",
    ),
    Pair(
        "XNN110 grouped convolution",
        middle(lambda g, x: g.conv2d(g.pad(x), 16, 3, groups=4, fused="RELU")),
        middle(lambda g, x: g.depthwise(x, fused="RELU")),
        "wrong-results",
        "CONV_2D",
        "3x3 CONV_2D in 4 groups",
        "a depthwise and a 1x1 convolution",
    ),
    Pair(
        "XNN110 and a stem",
        _stem_and_pool(False),
        _stem_and_pool(True),
        "dense",
        "MAX_POOL_2D",
        "MAX_POOL_2D",
        "depthwise",
        together=("XNN101",),
    ),
]
