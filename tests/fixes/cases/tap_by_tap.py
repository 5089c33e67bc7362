"""Cases of `operator_changes/tap_by_tap.py`."""

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def pruned_3x3(g: ModelBuilder, x: Value) -> Value:
    return g.conv2d(x, 12, 3, 1, "SAME", zeros=0.9, storage="sparse", fused="RELU6")


CASES = (FixCase("tap-by-tap", middle(pruned_3x3), 2),)
