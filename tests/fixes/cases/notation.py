"""Cases of `operator_changes/notation.py`."""

from tests.fixes.fix_case import FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def power(g: ModelBuilder, x: Value) -> Value:
    return g.binary("POW", x, g.constant(2.0))


CASES = (
    FixCase("plain-pad", pattern("stem_pad_int64"), 1),
    FixCase("remove-identity", pattern("reshape_id"), 2),
    FixCase("reshape-instead", pattern("break_squeeze_expand"), 2),
    FixCase("merge-reshapes", pattern("reshape_flat_and_back"), 2),
    FixCase("plain-relu", pattern("unary_leaky_0"), 2),
    FixCase("clamp-in-steps", pattern("unary_relu_0_to_1"), 2),
    FixCase("drop-ignored-activation", pattern("pw_tanh"), 3),
    FixCase("extreme-in-steps", pattern("residual_maximum"), 3),
    FixCase("extreme-in-steps", pattern("minimum_const_c"), 2),
    FixCase("prelu-in-steps", pattern("prelu"), 2),
    FixCase("softmax-of-product", pattern("softmax_beta_2"), 1, ignore=()),
    FixCase("power-by-name", middle(power), 2),
)
