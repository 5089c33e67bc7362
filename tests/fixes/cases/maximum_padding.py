"""Cases of `operator_changes/maximum_padding.py`."""

import math
from functools import partial

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def max_pool(size: int, stride: int, g: ModelBuilder, x: Value) -> Value:
    """nn.MaxPool2d with a padding of half its window, behind a ReLU."""
    padded = g.pad(g.unary("RELU", x), size // 2, "PADV2", value=-math.inf)
    return g.pool("MAX_POOL_2D", padded, size, stride)


CASES = (
    FixCase("pad-maximum", middle(partial(max_pool, 3, 2)), 2),
    FixCase("pad-maximum", middle(partial(max_pool, 3, 1)), 2),
    FixCase("pad-maximum", middle(partial(max_pool, 3, 2)), 2, unsafe=True, ignore=("maximum-in-steps",)),
)
