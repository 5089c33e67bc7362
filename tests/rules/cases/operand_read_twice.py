from __future__ import annotations

import numpy as np

from tests.rules.case_parts import Pair, middle

PAIRS = [
    Pair(
        "XNN206 twice",
        middle(lambda g, x: g.binary("ADD", x, x)),
        middle(lambda g, x: g.binary("MUL", g.constant(np.full((1, 1, 1, 1), 2.0, np.float32)), x)),
        "dense",
        "ADD",
        "ADD of a value with itself",
        "the constant first",
    ),
    Pair(
        "XNN206 old runtime, square",
        middle(lambda g, x: g.binary("MUL", x, x)),
        middle(lambda g, x: g.unary("SQUARE", x)),
        "dense",
        "MUL",
        "MUL of a value with itself",
        "tf.square",
        runtime="litert-2.0",
    ),
]
