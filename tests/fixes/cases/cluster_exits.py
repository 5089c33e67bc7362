"""Cases of `operator_changes/cluster_exits.py`."""

from tests.fixes.fix_case import PRUNED, FixCase, pattern, trunk
from xnnlint.modelbuilder.builder import ModelBuilder


def mask() -> bytes:
    """A map of one channel, which is right in any order, and ends no cluster."""
    g = ModelBuilder(1)
    g.output(g.conv2d(trunk(g), 1, zeros=PRUNED, storage="sparse"))
    return g.build()


CASES = (
    FixCase("leave-through-depth-to-space", pattern("conv_3x3"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("softmax_mid"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("transpose_conv_mid"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("int8_boundary"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("two_heads_pw"), 3, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("mid_exposed"), 2, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("mean_axes_2"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("sum_keep_axes_0_3"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", pattern("exit_flatten"), 1, ignore=()),
    FixCase("leave-through-depth-to-space", mask, 2, ignore=()),
)
