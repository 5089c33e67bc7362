from __future__ import annotations

from tests.rules.case_parts import Pair, middle

PAIRS = [
    Pair(
        "XNN108 one row",
        middle(lambda g, x: g.resize_bilinear(g.depthwise(x, (12, 3), (1, 1), "VALID"), 12, 20)),
        middle(lambda g, x: g.resize_bilinear(g.depthwise(g.pad(x), 3, 2, "VALID"), 12, 20)),
        "wrong-results",
        "RESIZE_BILINEAR",
        "[1, 1, 18, 16]",
        "broadcast",
        together=("XNN104",),
    ),
]
