from __future__ import annotations

from tests.rules.case_parts import Pair, depthwise, middle

PAIRS = [
    Pair(
        "XNN102 stride",
        middle(lambda g, x: g.conv2d(x, 16, stride=2, zeros=0.8, storage="sparse")),
        middle(depthwise(3, 1, 2)),
        "wrong-results",
        "CONV_2D",
        "stride 2x2",
        "depthwise",
    ),
]
