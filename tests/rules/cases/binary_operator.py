from __future__ import annotations

import numpy as np

from tests.rules.case_parts import Pair, middle

PAIRS = [
    Pair(
        "XNN106 prelu",
        middle(lambda g, x: g.prelu(x)),
        middle(lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.25)),
        "wrong-results",
        "PRELU",
        "PRELU",
        "LeakyReLU",
    ),
    Pair(
        "XNN106 maximum of a vector",
        middle(lambda g, x: g.binary("MAXIMUM", x, g.constant(np.full((16,), 0.2, np.float32)))),
        middle(lambda g, x: g.binary("MAXIMUM", x, g.constant(0.2))),
        "wrong-results",
        "MAXIMUM",
        "MAXIMUM",
        "scalar",
    ),
    Pair(
        "XNN106 subtract itself",
        middle(lambda g, x: g.binary("SUB", x, x)),
        middle(lambda g, x: g.unary("SQUARE", x)),
        "dense",
        "SUB",
        "SUB",
        "negated",
    ),
]
