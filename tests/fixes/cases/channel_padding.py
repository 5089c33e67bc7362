"""Cases of `operator_changes/channel_padding.py`."""

from tests.fixes.fix_case import FixCase, middle, pointwise
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def wider_residual(g: ModelBuilder, x: Value) -> Value:
    """As BlazeFace widens its residuals."""
    return g.binary("ADD", g.pad(x, ((0, 0), (0, 0), (0, 0), (0, 8))), pointwise(g, x, 24))


CASES = (FixCase("pad-channels-by-convolution", middle(wider_residual), 3),)
