from __future__ import annotations

from tests.rules.case_parts import Pair, head

PAIRS = [
    Pair(
        "XNN109 old runtime",
        head(lambda g, x: g.output(g.mean(x, (1,)))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "dense",
        "MEAN",
        "MEAN over axes [1]",
        "GlobalAveragePooling2D",
        runtime="tf-2.18",
    ),
]
