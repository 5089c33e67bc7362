from __future__ import annotations

from tests.rules.case_parts import Pair, depthwise, middle

PAIRS = [
    Pair(
        "XNN104 same padding",
        middle(depthwise(3, 0, 2, "SAME")),
        middle(depthwise(3, 1, 2)),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "'same' padding at stride 2x2",
        "ZeroPadding2D(1)",
    ),
    Pair(
        "XNN104 kernel 7x7",
        middle(depthwise(7, 0, 1, "SAME")),
        middle(depthwise(5, 0, 1, "SAME")),
        "wrong-results",
        "DEPTHWISE_CONV_2D",
        "kernel 7x7",
        "3x3 or 5x5",
    ),
]
