from __future__ import annotations

import numpy as np

from tests.rules.case_parts import Pair, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import Middle, apply_unary


def _in_sequence(code: str) -> Middle:
    """A unary operator on the map as a sequence of pixels."""

    def part(g: ModelBuilder, x: Value) -> Value:
        n, h, w, c = x.shape
        return g.reshape(g.unary(code, g.reshape(x, (n, h * w, c))), x.shape)

    return part


PAIRS = [
    Pair(
        "XNN107 old runtime",
        middle(lambda g, x: apply_unary(g, "TANH", x)),
        middle(lambda g, x: apply_unary(g, "LOGISTIC", x)),
        "wrong-results",
        "TANH",
        "tanh",
        "ReLU6",
        runtime="tf-2.18",
    ),
    Pair(
        "XNN107 sequence",
        middle(_in_sequence("RELU6")),
        middle(lambda g, x: g.unary("RELU6", x)),
        "wrong-results",
        "RELU6",
        "[1, 240, 16]",
        "before the Reshape",
        together=("XNN110",),
    ),
    Pair(
        "XNN107 of constants",
        middle(lambda g, x: g.binary("MUL", g.unary("EXP", g.constant(np.full(16, 0.5, np.float32))), x)),
        middle(lambda g, x: g.binary("MUL", g.constant(np.full((1, 1, 1, 16), 1.65, np.float32)), x)),
        "wrong-results",
        "EXP",
        "[16]",
        "as a constant",
        together=("XNN105",),
    ),
]
