"""Cases of `operator_changes/one_channel.py`."""

from functools import partial

from tests.fixes.fix_case import FixCase, head, pointwise
from xnnlint.modelbuilder.builder import ModelBuilder


def grey(padding: str, size: int, channels: int = 1, stride: int = 2) -> bytes:
    """A network for grey images, its first convolution written as a depthwise one of 16 filters."""
    g = ModelBuilder(1)
    image = g.input((1, size, size, channels))
    x = g.depthwise(image if padding == "SAME" else g.pad(image), 3, stride, padding, multiplier=16, fused="RELU")
    head(g, pointwise(g, g.depthwise(pointwise(g, x))))
    return g.build()


CASES = (
    FixCase("convolve-one-channel", partial(grey, "VALID", 24), 2),
    FixCase("convolve-one-channel", partial(grey, "SAME", 25), 2),
)
