"""Cases of `operator_changes/channel_moves.py`."""

from tests.fixes.fix_case import PRUNED, FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def pooled_branch(g: ModelBuilder, x: Value) -> Value:
    """ASPP: a pooling of the whole map, resized to it."""
    pooled = g.conv2d(g.mean(x, keep_dims=True), 8, zeros=PRUNED, storage="sparse")
    branch = g.conv2d(x, 8, zeros=PRUNED, storage="sparse")
    return g.concat((g.resize_bilinear(pooled, *x.shape[1:3]), branch))


CASES = (
    FixCase("concatenate-by-adding", pattern("concat_2"), 3),
    FixCase("concatenate-a-pixel", middle(pooled_branch), 3),
    FixCase("select-channels", pattern("break_gather"), 2),
)
