from __future__ import annotations

from tests.rules.case_parts import Pair, middle
from xnnlint.modelbuilder.building_blocks import pruned

PAIRS = [
    Pair(
        "XNN103 old runtime",
        middle(lambda g, x: g.fully_connected(x, 16, keep_num_dims=True, zeros=0.8, storage="sparse")),
        middle(lambda g, x: pruned(g, x, 16, "NONE")),
        "wrong-results",
        "FULLY_CONNECTED",
        "FULLY_CONNECTED",
        "1x1 Conv2D",
        runtime="tf-2.18",
        unlocks=False,
    ),
]
