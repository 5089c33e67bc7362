"""Cases of `operator_changes/element_moves.py`."""

from tests.fixes.fix_case import FixCase, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def there_and_back(g: ModelBuilder, x: Value) -> Value:
    """A map that becomes a list of pixels, and a map again, by way of NCHW."""
    n, h, w, c = x.shape
    x = g.transpose(g.reshape(g.transpose(x, TO_NCHW), (n, c, h * w)), (0, 2, 1))
    return g.reshape(x, (n, h, w, c))


def shuffle(g: ModelBuilder, x: Value) -> Value:
    """nn.ChannelShuffle(4) of a map in NCHW, as litert-torch exports it."""
    n, h, w, c = x.shape
    x = g.reshape(g.transpose(x, TO_NCHW), (n, 4, c // 4, h, w))
    return g.transpose(g.reshape(g.transpose(x, (0, 2, 1, 3, 4)), (n, c, h, w)), TO_NHWC)


def shuffle_in_nchw(g: ModelBuilder, x: Value) -> Value:
    """The same between two operators in NCHW."""
    n, h, w, c = x.shape
    x = g.reshape(g.unary("RELU", g.transpose(x, TO_NCHW)), (n, 2, c // 2, h, w))
    x = g.reshape(g.transpose(x, (0, 2, 1, 3, 4)), (n, c, h, w))
    return g.transpose(g.unary("ABS", x), TO_NHWC)


def pixel_shuffle(g: ModelBuilder, x: Value) -> Value:
    """nn.PixelShuffle(2)."""
    n, h, w, c = x.shape
    x = g.reshape(g.transpose(x, TO_NCHW), (n * c // 4, 2, 2, h, w))
    x = g.reshape(g.transpose(x, (0, 3, 1, 4, 2)), (n, c // 4, h * 2, w * 2))
    return g.transpose(x, TO_NHWC)


def pixel_shuffle_of_activation(g: ModelBuilder, x: Value) -> Value:
    """Behind an operator that is no convolution, so that a convolution of its own puts the channels in order."""
    return pixel_shuffle(g, g.unary("ABS", x))


CASES = (
    FixCase("merge-moves", middle(there_and_back), 2),
    FixCase("gather-channels", middle(shuffle), 2),
    FixCase("gather-channels", middle(shuffle_in_nchw), 2),
    FixCase("depth-to-space-by-name", middle(pixel_shuffle), 1),
    FixCase("depth-to-space-by-name", middle(pixel_shuffle_of_activation), 1),
)
