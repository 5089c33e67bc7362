from __future__ import annotations

from tests.rules.case_parts import Pair, excite, middle

PAIRS = [
    Pair(
        "XNN401 nearest neighbour",
        middle(lambda g, x: g.resize_bilinear(x, 13, 23, code="RESIZE_NEAREST_NEIGHBOR")),
        middle(lambda g, x: g.resize_bilinear(x, 13, 23)),
        "dense",
        "RESIZE_NEAREST_NEIGHBOR",
        "RESIZE_NEAREST_NEIGHBOR",
        "bilinear",
    ),
    Pair(
        "XNN401 shape computed at run time",
        middle(excite(False, dynamic=True)),
        middle(excite(True)),
        "dense",
        "RESHAPE",
        "a shape computed by 3 operators",
        "keepdims=True",
    ),
]
