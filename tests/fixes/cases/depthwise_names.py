"""Cases of `operator_changes/depthwise_names.py`."""

from functools import partial

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def grouped(g: ModelBuilder, x: Value, *, filters: int, kernel: int) -> Value:
    return g.conv2d(x, filters, kernel, padding="SAME", groups=16, fused="RELU")


CASES = tuple(
    FixCase("depthwise-by-name", middle(partial(grouped, filters=filters, kernel=kernel)), 2)
    for filters, kernel in ((16, 3), (32, 5), (16, 1))
)
