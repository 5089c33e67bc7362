"""Cases of `operator_changes/row_moves.py`: one-dimensional networks as PyTorch's and Keras's exporters write them."""

from collections.abc import Callable
from functools import partial

from tests.fixes.fix_case import PRUNED, FixCase
from xnnlint.modelbuilder.builder import ModelBuilder, Value

Layer = Callable[[Value], Value]


class Torch:
    """Sequences of [N, C, L], convolved as maps of [N, 1, L, C] between RESHAPE and TRANSPOSE."""

    channels, steps = 1, 2
    # Of the map.
    length = 2

    def convolve(self, g: ModelBuilder, x: Value, layer: Layer) -> Value:
        n, c, length = x.shape
        y = layer(g.transpose(g.reshape(x, (n, c, 1, length)), (0, 2, 3, 1)))
        return g.reshape(g.transpose(y, (0, 3, 1, 2)), (n, y.shape[3], y.shape[2]))


class Keras:
    """Sequences of [N, L, C], convolved as maps of [N, 1, L, C] between EXPAND_DIMS and SQUEEZE."""

    channels, steps = 2, 1
    length = 2

    def convolve(self, g: ModelBuilder, x: Value, layer: Layer) -> Value:
        return g.squeeze(layer(g.expand_dims(x, 1)), (1,))


class Columns(Keras):
    """The same, convolved as maps of [N, L, 1, C]."""

    length = 1

    def convolve(self, g: ModelBuilder, x: Value, layer: Layer) -> Value:
        return g.squeeze(layer(g.expand_dims(x, 2)), (2,))


Kind = type[Torch] | type[Keras]
Middle = Callable[[ModelBuilder, Value, Torch | Keras], Value]


def activation(g: ModelBuilder, x: Value, kind: Torch | Keras) -> Value:
    return g.unary("ABS", x)


def residual(g: ModelBuilder, x: Value, kind: Torch | Keras) -> Value:
    """With a factor and a summand for each channel, as of a batch norm, and a scalar."""
    shape = [1, 1, 1]
    shape[kind.channels] = x.shape[kind.channels]
    y = kind.convolve(g, g.unary("TANH", x), lambda m: g.conv2d(m, 16, zeros=PRUNED))
    y = g.binary("ADD", g.binary("MUL", y, g.random_constant(shape)), g.random_constant(shape), "RELU")
    return g.binary("ADD", g.binary("MUL", y, g.constant(0.5)), x)


def halves(g: ModelBuilder, x: Value, kind: Torch | Keras) -> Value:
    """Two slices of the channels, put together the other way round."""
    shape, middle = list(x.shape), [0, 0, 0]
    middle[kind.channels] = x.shape[kind.channels] // 2
    half = [*shape]
    half[kind.channels] //= 2
    first = g.slice(x, (0, 0, 0), half)
    second = g.strided_slice(x, middle, shape, (1, 1, 1))
    return g.concat((second, first), kind.channels)


def split(g: ModelBuilder, x: Value, kind: Torch | Keras) -> Value:
    first, second = g.split(x, 2, kind.channels)
    return g.binary("ADD", first, g.unary("ABS", second))


def excitation(g: ModelBuilder, x: Value, kind: Torch | Keras) -> Value:
    """A pooling that keeps its dimensions, and what the sequence is multiplied with."""
    pooled = g.reduce("MEAN", x, (kind.steps,), True)
    gate = kind.convolve(g, pooled, lambda m: g.conv2d(m, 16, zeros=PRUNED))
    return g.binary("MUL", x, g.unary("LOGISTIC", gate))


def network(kind: Kind, middle: Middle = activation, *, keep: bool = False, pool: bool = False) -> bytes:
    """A stem of stride 2, a depthwise convolution, and pruned ones of one tap."""
    g, form = ModelBuilder(1), kind()
    shape = [1, 0, 0]
    shape[form.channels], shape[form.steps] = 3, 48
    two, three = ((size, 1) if form.length == 1 else (1, size) for size in (2, 3))
    beside = tuple((int(axis == form.length),) * 2 for axis in range(4))
    x = form.convolve(g, g.input(tuple(shape)), lambda m: g.conv2d(g.pad(m, beside), 16, three, two, fused="RELU"))
    x = form.convolve(g, x, lambda m: g.depthwise(m, three))
    if pool:
        x = form.convolve(g, x, lambda m: g.pool("MAX_POOL_2D", m, two, two))
    x = middle(g, x, form)
    x = form.convolve(g, x, lambda m: g.conv2d(m, 24, zeros=PRUNED, fused="RELU"))
    x = g.reduce("MEAN", x, (form.steps,), keep)
    g.output(g.fully_connected(g.reshape(x, (1, 24)) if keep else x, 5))
    return g.build()


CASES = (
    *(FixCase("compute-on-rows", partial(network, kind), 1) for kind in (Torch, Keras, Columns)),
    *(FixCase("compute-on-rows", partial(network, kind, residual), 2) for kind in (Torch, Keras)),
    *(FixCase("compute-on-rows", partial(network, kind, halves), 1) for kind in (Torch, Keras)),
    *(FixCase("compute-on-rows", partial(network, kind, split), 1) for kind in (Torch, Keras)),
    *(FixCase("compute-on-rows", partial(network, kind, excitation), 2) for kind in (Torch, Keras)),
    *(FixCase("pool-rows", partial(network, kind, keep=keep), 1) for kind in (Torch, Keras) for keep in (False, True)),
    *(FixCase("square-stride", partial(network, kind, pool=True), 1) for kind in (Torch, Keras)),
)
