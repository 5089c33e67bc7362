"""Cases of `operator_changes/transpose_moves.py`: what exporters from PyTorch leave in NCHW."""

from tests.fixes.fix_case import PRUNED, FixCase, head, middle, pointwise, trunk
from xnnlint.modelbuilder.builder import ModelBuilder, Value

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def activation(g: ModelBuilder, x: Value) -> Value:
    return g.transpose(g.unary("ELU", g.transpose(x, TO_NCHW)), TO_NHWC)


def wider_residual(g: ModelBuilder, x: Value) -> Value:
    """A shortcut whose channels are padded."""
    wider = g.transpose(pointwise(g, x, 24), TO_NCHW)
    padded = g.pad(g.transpose(x, TO_NCHW), ((0, 0), (0, 8), (0, 0), (0, 0)))
    return g.transpose(g.binary("ADD", wider, padded, "RELU"), TO_NHWC)


def halves(g: ModelBuilder, x: Value) -> Value:
    """Two slices of the channels, one scaled by constants of each channel, and put together the other way round."""
    n, h, w, c = x.shape
    x = g.transpose(x, TO_NCHW)
    first = g.slice(x, (0, 0, 0, 0), (n, c // 2, h, w))
    second = g.strided_slice(x, (0, c // 2, 0, 0), (n, c, h, w), (1, 1, 1, 1))
    second = g.binary("MUL", second, g.random_constant((1, c // 2, 1, 1)))
    second = g.binary("ADD", g.random_constant((c // 2, 1, 1)), second)
    return g.transpose(g.concat((second, first), 1), TO_NHWC)


def excitation(g: ModelBuilder, x: Value) -> Value:
    """A pooling in NCHW that keeps its dimensions, and what it is multiplied with."""
    pooled = g.transpose(g.mean(g.transpose(x, TO_NCHW), (2, 3), True), TO_NHWC)
    gate = g.conv2d(pooled, 4, zeros=PRUNED, fused="RELU")
    gate = g.transpose(g.conv2d(gate, x.shape[3], zeros=PRUNED), TO_NCHW)
    return g.transpose(g.binary("MUL", g.transpose(x, TO_NCHW), g.unary("LOGISTIC", gate)), TO_NHWC)


def split(g: ModelBuilder, x: Value) -> Value:
    first, second = g.split(g.transpose(x, TO_NCHW), 2, 1)
    return g.transpose(g.binary("ADD", first, g.unary("ABS", second)), TO_NHWC)


def read_in_both_orders() -> bytes:
    """The value is an output in NCHW, too, which keeps its TRANSPOSE."""
    g = ModelBuilder(1)
    x = g.transpose(pointwise(g, trunk(g)), TO_NCHW)
    y = g.unary("ABS", x)
    head(g, pointwise(g, g.transpose(y, TO_NHWC)))
    g.output(y)
    return g.build()


CASES = (
    FixCase("compute-in-nhwc", middle(activation), 2),
    FixCase("compute-in-nhwc", middle(wider_residual), 3),
    FixCase("compute-in-nhwc", middle(halves), 2),
    FixCase("compute-in-nhwc", middle(excitation), 2),
    FixCase("compute-in-nhwc", middle(split), 2),
    FixCase("compute-in-nhwc", read_in_both_orders, 1, ignore=()),
)
