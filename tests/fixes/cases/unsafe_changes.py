"""Cases of `operator_changes/unsafe_changes.py`."""

from functools import partial

from tests.fixes.fix_case import EXIT, FixCase, middle, pattern
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def far_taps(g: ModelBuilder, x: Value) -> Value:
    return g.depthwise(x, 5, 2, "SAME")


def scaled(g: ModelBuilder, x: Value) -> Value:
    return g.resize_bilinear(x, 15, 23, code="RESIZE_NEAREST_NEIGHBOR")


def pooled(g: ModelBuilder, x: Value) -> Value:
    return g.pool("MAX_POOL_2D", x, 3, 2, padding="SAME")


def softmax(g: ModelBuilder, x: Value) -> Value:
    return g.softmax(x)


_unsafe = partial(FixCase, spmm=2, ignore=(EXIT, "taps-in-parts"), unsafe=True)
CASES = (
    _unsafe("padding-on-all-sides", middle(far_taps)),
    _unsafe("upsampling-bilinear", middle(scaled)),
    _unsafe("average-instead-of-maximum", middle(pooled)),
    _unsafe("activation-closest", middle(softmax)),
    FixCase("dequantize-weights", pattern("weights_sparse_int8_direct"), 1, unsafe=True),
)
