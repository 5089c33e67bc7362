"""Cases of `operator_changes/channel_moves.py`."""

import numpy as np

from tests.fixes.fix_case import PRUNED, FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import table


def pooled_branch(g: ModelBuilder, x: Value) -> Value:
    """ASPP: a pooling of the whole map, resized to it."""
    pooled = g.conv2d(g.mean(x, keep_dims=True), 8, zeros=PRUNED, storage="sparse")
    branch = g.conv2d(x, 8, zeros=PRUNED, storage="sparse")
    return g.concat((g.resize_bilinear(pooled, *x.shape[1:3]), branch))


def split_unevenly(g: ModelBuilder, x: Value) -> Value:
    """MixNet: channels in groups of different sizes, each with a depthwise kernel of its own size."""
    sizes, axis = (g.constant(np.array(v, np.int32)) for v in ((10, 6), 3))
    shapes = [(*x.shape[:3], channels) for channels in (10, 6)]
    first, second = g.op("SPLIT_V", [x, sizes, axis], shapes, table("SplitVOptions", num_splits=2))
    return g.concat((g.depthwise(first, 3), g.depthwise(second, 5)))


CASES = (
    FixCase("select-channels", middle(split_unevenly), 6),
    FixCase("concatenate-by-adding", pattern("concat_2"), 3),
    FixCase("concatenate-a-pixel", middle(pooled_branch), 3),
    FixCase("select-channels", pattern("break_gather"), 2),
)
