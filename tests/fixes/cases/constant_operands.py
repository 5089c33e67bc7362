"""Cases of `operator_changes/constant_operands.py`."""

from tests.fixes.fix_case import FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def divided(g: ModelBuilder, x: Value) -> Value:
    return g.binary("DIV", x, g.random_constant((16,)))


CASES = (
    FixCase("constant-first", pattern("add_const_c"), 2),
    FixCase("constant-first", pattern("mul_const_scalar"), 2),
    FixCase("constant-first", pattern("mul_const_111c"), 2),
    FixCase("subtract-by-adding", pattern("sub_const_c"), 2),
    FixCase("subtract-by-adding", pattern("residual_sub"), 3),
    FixCase("divide-by-multiplying", middle(divided), 2),
    FixCase("squared-difference-in-steps", pattern("residual_squared_difference"), 3),
)
