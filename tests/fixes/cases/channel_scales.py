"""Cases of `operator_changes/channel_scales.py`: batch norms that stand behind a convolution."""

from functools import partial

from tests.fixes.fix_case import PRUNED, FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def normed(g: ModelBuilder, x: Value, *, depthwise: bool, first: bool) -> Value:
    x = g.depthwise(x) if depthwise else g.conv2d(x, 16, zeros=PRUNED)
    factor, summand = g.random_constant((16,)), g.random_constant((1, 1, 1, 16))
    x = g.binary("MUL", factor, x) if first else g.binary("MUL", x, factor)
    return g.binary("ADD", x, summand, "RELU6")


CASES = (
    FixCase("fold-channel-scales", middle(partial(normed, depthwise=True, first=False)), 2),
    FixCase("fold-channel-scales", middle(partial(normed, depthwise=False, first=True)), 3),
)
