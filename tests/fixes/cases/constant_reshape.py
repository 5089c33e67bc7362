"""Cases of `operator_changes/constant_reshape.py`."""

import numpy as np

from tests.fixes.fix_case import FixCase, middle, pointwise
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import table


def gate(g: ModelBuilder, x: Value) -> Value:
    """Squeeze and excite with Keras's Reshape((1, 1, C)), of a shape that is computed."""
    pooled = g.mean(x)
    first = g.op("SHAPE", [pooled], [(2,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    cuts = [g.constant(np.array([v], np.int32)) for v in (0, 1, 1)]
    options = table("StridedSliceOptions", shrink_axis_mask=1)
    count = g.op("STRIDED_SLICE", [first, *cuts], [()], options, dtype="int32")[0]
    sizes = [count, *(g.constant(np.array(v, np.int32)) for v in (1, 1, 16))]
    shape = g.op("PACK", sizes, [(4,)], table("PackOptions", values_count=4), dtype="int32")[0]
    gated = g.op("RESHAPE", [pooled, shape], [(1, 1, 1, 16)], table("ReshapeOptions"))[0]
    return g.binary("MUL", x, g.unary("LOGISTIC", pointwise(g, gated)))


CASES = (FixCase("constant-reshape", middle(gate), 2),)
