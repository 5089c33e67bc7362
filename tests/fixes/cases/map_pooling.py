"""Cases of `operator_changes/map_pooling.py`."""

from tests.fixes.fix_case import FixCase, pattern

CASES = (
    FixCase("mean-of-the-whole-map", pattern("exit_avg_pool"), 1),
    FixCase("axes-in-order", pattern("mean_axes_1_2_2"), 1, runtime="litert-1.1"),
    FixCase("keep-dimensions", pattern("mean_fc_keep_pruned"), 1),
    FixCase("reshape-behind-pooling", pattern("mean_keep_softmax"), 1),
    FixCase("reshape-behind-pooling", pattern("mean_keep_conv_3x3"), 1),
)
