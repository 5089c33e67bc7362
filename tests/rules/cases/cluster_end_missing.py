from __future__ import annotations

from tests.rules.case_parts import Pair, head
from xnnlint.modelbuilder.building_blocks import tail

PAIRS = [
    Pair(
        "XNN202 flatten",
        head(lambda g, x: g.output(g.fully_connected(g.reshape(x, (1, -1)), 5))),
        head(lambda g, x: tail(g, x)),
        "dense",
        "CONV_2D",
        "none behind",
        "GlobalAveragePooling2D(keepdims=True)",
    ),
]
