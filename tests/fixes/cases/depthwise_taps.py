"""Cases of `operator_changes/depthwise_taps.py`."""

from tests.fixes.fix_case import FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def far_taps(g: ModelBuilder, x: Value) -> Value:
    """On an even size, SAME reads one pixel before and two behind: farther than a 5x5 kernel with padding 2."""
    return g.depthwise(x, 5, 2, "SAME")


CASES = (
    FixCase("zero-taps", pattern("dw_s2_same_even"), 2),
    FixCase("zero-taps", pattern("dw_s2_same_odd"), 2),
    FixCase("zero-taps", pattern("dw_1x1"), 2),
    FixCase("zero-taps", pattern("dw_3x5"), 2),
    FixCase("zero-taps", pattern("dw_dilation_2"), 2),
    FixCase("taps-in-parts", middle(far_taps), 2),
)
