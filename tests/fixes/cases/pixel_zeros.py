"""Cases of `operator_changes/pixel_zeros.py`."""

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def dense_excitation(g: ModelBuilder, x: Value) -> Value:
    """Squeeze-and-excite that nobody pruned, as many weights as the pruned ones of the map."""
    pooled = g.mean(x, keep_dims=True)
    gate = g.unary("LOGISTIC", g.conv2d(g.conv2d(pooled, 8, fused="RELU"), x.shape[3]))
    return g.binary("MUL", x, gate)


CASES = (FixCase("zeros-on-one-pixel", middle(dense_excitation), 2),)
