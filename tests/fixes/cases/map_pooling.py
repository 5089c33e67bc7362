"""Cases of `operator_changes/map_pooling.py`."""

from functools import partial

from tests.fixes.fix_case import FixCase, pattern, pointwise, trunk
from xnnlint.modelbuilder.builder import ModelBuilder


def pooled_in_nchw(
    code: str, keep_dims: bool, order: tuple[int, ...] = (0, 3, 1, 2), axes: tuple[int, ...] = (2, 3)
) -> bytes:
    """A pooling behind a TRANSPOSE to NCHW, as exporters from PyTorch write it."""
    g = ModelBuilder(1)
    x = g.transpose(pointwise(g, trunk(g)), order)
    x = g.reduce(code, x, axes, keep_dims)
    g.output(g.fully_connected(g.reshape(x, (1, -1)), 5))
    return g.build()


CASES = (
    FixCase("mean-of-the-whole-map", pattern("exit_avg_pool"), 1),
    FixCase("pool-before-transpose", partial(pooled_in_nchw, "MEAN", False), 2),
    FixCase("pool-before-transpose", partial(pooled_in_nchw, "SUM", True), 2),
    FixCase("axes-in-order", pattern("mean_axes_1_2_2"), 1, runtime="litert-1.1"),
    FixCase("keep-dimensions", pattern("mean_fc_keep_pruned"), 1),
    FixCase("reshape-behind-pooling", pattern("mean_keep_softmax"), 1),
    FixCase("reshape-behind-pooling", pattern("mean_keep_conv_3x3"), 1),
)
