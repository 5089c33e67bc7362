"""Cases of `operator_changes/window_pooling.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (
    FixCase("average-by-depthwise", pattern("avg_pool_2x2"), 2, ignore=()),
    FixCase("average-by-depthwise", pattern("avg_pool_3x3_same"), 2, ignore=()),
    FixCase("maximum-in-steps", pattern("max_pool_2x2"), 2, ignore=()),
)
