from __future__ import annotations

from tests.rules.case_parts import Pair, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def _vector(g: ModelBuilder, channels: int) -> Value:
    return g.random_constant((1, 1, 1, channels))


PAIRS = [
    Pair(
        "XNN105 constant second",
        middle(lambda g, x: g.binary("ADD", x, _vector(g, 16))),
        middle(lambda g, x: g.binary("ADD", _vector(g, 16), x)),
        "wrong-results",
        "ADD",
        "constant of shape [1, 1, 1, 16] as second operand",
        "first operand",
    ),
    Pair(
        "XNN105 constant of rank 1",
        middle(lambda g, x: g.binary("MUL", g.random_constant((16,)), x)),
        middle(lambda g, x: g.binary("MUL", _vector(g, 16), x)),
        "wrong-results",
        "MUL",
        "constant of shape [16]",
        "[1, 1, 1, C]",
    ),
]
