"""Cases of `operator_changes/entry_forms.py`."""

from functools import partial

from tests.fixes.fix_case import FixCase, pattern, pointwise
from xnnlint.modelbuilder.builder import ModelBuilder


def network(filters: int, padding: str, size: int) -> bytes:
    """A stem, two pruned 1x1 convolutions and a classifier."""
    g = ModelBuilder()
    x = g.conv2d(g.input((1, size, size, 3)), filters, 3, 2, padding, fused="RELU")
    x = pointwise(g, pointwise(g, x, 64), 64)
    g.output(g.fully_connected(g.mean(x), 5))
    return g.build()


CASES = (
    FixCase("entry-by-zero-taps", pattern("stem_same_odd"), 1),
    FixCase("entry-by-zero-taps", pattern("stem_1_channel"), 1),
    FixCase("entry-by-picking", partial(network, 16, "SAME", 32), 2),
    FixCase("entry-in-parts", partial(network, 8, "VALID", 34), 2),
)
