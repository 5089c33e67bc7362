from __future__ import annotations

from tests.rules.case_parts import Pair, head

PAIRS = [
    Pair(
        "XNN602 over the height",
        head(lambda g, x: g.output(g.mean(x, (1,)))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "wrong-results",
        "MEAN",
        "MEAN over axes [1]",
        "[1, 2]",
    ),
    Pair(
        "XNN602 kept over the height",
        head(lambda g, x: g.output(g.mean(x, (1,), True))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "wrong-results",
        "MEAN",
        "MEAN over axes [1]",
        "[1, 2]",
    ),
    Pair(
        "XNN602 over the channels",
        head(lambda g, x: g.output(g.mean(x, (3,)))),
        head(lambda g, x: g.output(g.mean(x, (0, 1, 2)))),
        "sparse",
        "MEAN",
        "MEAN over axes [3]",
        "[1, 2]",
        unlocks=False,
    ),
]
