"""Cases of `operator_changes/exponential_units.py`."""

from functools import partial

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def choose(g: ModelBuilder, x: Value, limit: float, above: Value, below: Value) -> Value:
    test = g.op("GREATER_EQUAL", [x, g.constant(limit)], [x.shape], dtype="bool")[0]
    return g.op("SELECT", [test, above, below], [x.shape])[0]


def elu(positive: float, negative: float, g: ModelBuilder, x: Value) -> Value:
    """nn.ELU, nn.SELU: p * x above zero, q * (exp(x) - 1) below."""
    below = g.binary("SUB", g.unary("EXP", x), g.constant(1.0))
    if negative != 1:
        below = g.binary("MUL", below, g.constant(negative))
    above = x if positive == 1 else g.binary("MUL", x, g.constant(positive))
    return choose(g, x, 0.0, above, below)


def softplus(g: ModelBuilder, x: Value) -> Value:
    """nn.Softplus."""
    return choose(g, x, 20.0, x, g.unary("LOG", g.binary("ADD", g.unary("EXP", x), g.constant(1.0))))


CASES = (
    FixCase("elu-by-name", middle(partial(elu, 1, 1)), 2),
    FixCase("elu-by-name", middle(partial(elu, 1, 0.5)), 2),
    FixCase("elu-by-name", middle(partial(elu, 1.05, 1.76)), 2),
    FixCase("elu-by-name", middle(partial(elu, 2, 2)), 2),
    FixCase("softplus-in-steps", middle(softplus), 2),
)
