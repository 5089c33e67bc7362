"""The graphs that rates are measured on: random small networks of what people build, the same for the same seed.

Operators are measured inside networks, not one by one: what the one before left in the caches is then what it is in a
real network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

# The only place here that knows how models are built.
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import REFUSED
from xnnlint.modelbuilder.modelfile import Value

SIZES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256)
CHANNELS = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 768, 1024)
ZEROS = (0.68, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
FUSED = ("RELU", "RELU6", "NONE")
MAP_UNARY = ("HARD_SWISH", "LOGISTIC", "TANH", "LEAKY_RELU", "ELU", "RELU", "ABS", "SQUARE", "NEG", "GELU", "EXP")
SMALL_SIZES, SMALL_CHANNELS = (12, 16, 20, 24, 32), (4, 8, 12, 16, 20, 24)
"""Of networks so small that a run shows what it takes beside its operators."""
LARGEST_MAP = 1_500_000
"""Elements of the largest map in the grid."""
MOST_MACS = 30e6
"""Multiply-accumulates of the largest layer in the grid."""


class GridModel(Struct, frozen=True):
    """A model of the grid; `pair` is the same for the dense and the sparse variant of one network."""

    name: str
    pair: str
    data: bytes


def grid_models(count: int = 60, first: int = 0) -> Iterator[GridModel]:
    """`count` networks of separable convolutions, each dense and sparse, as many of everything else, and a quarter as
    many small ones of both."""
    for seed in range(first, first + count):
        for storage in ("dense", "sparse"):
            network = _Separable(seed, storage)
            yield GridModel(f"separable-{seed}-{storage}", f"separable-{seed}", network.build())
        yield GridModel(f"mixed-{seed}", f"mixed-{seed}", _Mixed(seed).build())
        if seed % 4 == 0:
            for storage in ("dense", "sparse"):
                small = _Separable(seed, storage, SMALL_SIZES, SMALL_CHANNELS)
                yield GridModel(f"small-{seed}-{storage}", f"small-{seed}", small.build())
            parted = _Mixed(seed, "dense", SMALL_SIZES, SMALL_CHANNELS)
            yield GridModel(f"small-mixed-{seed}", f"small-mixed-{seed}", parted.build(parts=2))


class _Network:
    def __init__(
        self, seed: int, storage: str = "dense", sizes: Sequence[int] = SIZES, channels: Sequence[int] = CHANNELS
    ) -> None:
        self.random = random.Random(seed)
        self.g = ModelBuilder(seed)
        self.storage, self.sizes, self.widths = storage, sizes, channels

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def size(self) -> tuple[int, int]:
        height = self.random.choice(self.sizes)
        width = height if self.chance(0.6) else self.random.choice(self.sizes)
        return height, width

    def channels(self, pixels: int, inputs: int = 1, low: int = 8) -> int:
        """A number of channels such that the map and the layer that writes it are not too large."""
        fitting = [
            c for c in self.widths if c >= low and pixels * c <= LARGEST_MAP and pixels * c * inputs <= MOST_MACS
        ] or [low]
        return self.random.choice(fitting)


class _Separable(_Network):
    """Stem, depthwise and pruned 1x1 convolutions, gates, residual sums, and an end that the sparse path allows."""

    def __init__(
        self, seed: int, storage: str, sizes: Sequence[int] = SIZES, channels: Sequence[int] = CHANNELS
    ) -> None:
        super().__init__(seed, storage, sizes, channels)
        self.zeros = self.random.choice(ZEROS)
        self.block = self.random.choice((1,) * 8 + (2, 4))

    def pointwise(self, x: Value, filters: int, fused: str = "NONE") -> Value:
        zeros = min(0.97, max(0.5, self.zeros + self.random.uniform(-0.1, 0.1)))
        weights = None
        if self.block > 1 and filters % self.block == 0:
            shape = (filters // self.block, 1, 1, x.shape[3])
            kept = np.repeat(self.g.rng.random(shape) > zeros, self.block, axis=0)
            values = self.g.rng.normal(size=kept.shape) * np.sqrt(2 / max(1, x.shape[3] * (1 - zeros)))
            weights = (values * kept).astype(np.float32)
        return self.g.conv2d(x, filters, zeros=zeros, storage=self.storage, weights=weights, fused=fused)

    def depthwise(self, x: Value, fused: str) -> Value:
        kernel = 3 if self.chance(0.65) else 5
        if min(x.shape[1:3]) >= 14 and self.chance(0.35):
            return self.g.depthwise(self.g.pad(x, kernel // 2), kernel, 2, "VALID", fused=fused)
        return self.g.depthwise(x, kernel, 1, "SAME", fused=fused)

    def activated(self, x: Value) -> Value:
        if self.chance(0.6):
            return x
        if self.chance(0.2):
            return self.g.binary("MUL", x, self.g.unary("LOGISTIC", x))
        code = self.random.choice(MAP_UNARY)
        return self.g.unary(code, x, **({"alpha": 0.25} if code == "LEAKY_RELU" else {}))

    def gate(self, x: Value) -> Value:
        s = self.g.mean(x, keep_dims=True)
        s = self.pointwise(self.pointwise(s, max(4, x.shape[3] // 4), "RELU"), x.shape[3])
        return self.g.binary("MUL", x, self.g.unary("LOGISTIC", s))

    def block_of(self, x: Value) -> Value:
        before = x
        pixels = x.shape[1] * x.shape[2]
        if self.chance(0.7):
            x = self.activated(self.pointwise(x, self.channels(pixels, x.shape[3]), self.random.choice(FUSED)))
        x = self.activated(self.depthwise(x, self.random.choice(FUSED)))
        if self.chance(0.2):
            x = self.gate(x)
        pixels = x.shape[1] * x.shape[2]
        same = x.shape[1:3] == before.shape[1:3] and self.chance(0.6)
        x = self.pointwise(x, before.shape[3] if same else self.channels(pixels, x.shape[3]))
        if same:
            x = self.g.binary("ADD", before, x, self.random.choice(("NONE", "NONE", "RELU", "RELU6")))
        if self.chance(0.06) and pixels * x.shape[3] < LARGEST_MAP / 4:
            x = self.g.resize_bilinear(x, x.shape[1] * 2, x.shape[2] * 2, half_pixel=True)
        return x

    def build(self) -> bytes:
        g = self.g
        x = g.input((1, *self.size(), 3))
        filters = self.random.choice((4, 8, 16, 16, 24, 32, 32, 48))
        x = self.activated(g.conv2d(g.pad(x), filters, 3, 2, fused=self.random.choice(FUSED)))
        for _ in range(self.random.randint(3, 9)):
            x = self.block_of(x)
        if self.chance(0.3) and x.shape[1] * x.shape[2] * 64 < LARGEST_MAP:
            x = self.pointwise(x, 4 * self.random.choice((1, 2, 4, 16)))
            g.output(g.depth_to_space(x, 2))
        else:
            x = self.pointwise(x, self.channels(x.shape[1] * x.shape[2], x.shape[3]))
            g.output(g.fully_connected(g.mean(x), self.random.choice((5, 10, 100, 1000))))
        return g.build()


class _Mixed(_Network):
    """Any operator that XNNPACK takes, in NHWC, on maps of any size; 1x1 convolutions keep the maps small."""

    def build(self, parts: int = 0) -> bytes:
        """The model; `parts` are operators in it that XNNPACK does not take."""
        g = self.g
        x = g.input((1, *self.size(), 3))
        if self.chance(0.5):
            x = g.pad(x, self.padding())
        for _ in range(self.random.randint(8, 16)):
            x = self.random.choice(_LAYERS)(self, x)
            if x.shape[1] * x.shape[2] * x.shape[3] > LARGEST_MAP / 2:
                x = g.conv2d(g.pool("MAX_POOL_2D", x), 16, fused="RELU")
        for _ in range(parts):
            x = self.pointwise(self.refused(x))
        if self.chance(0.5):
            x = g.softmax(x)
        if self.chance(0.5):
            x = g.fully_connected(g.mean(x), self.random.choice((5, 10, 100, 1000)))
        g.output(x)
        return g.build()

    def padding(self) -> list[tuple[int, int]]:
        rows, columns, channels = ((self.random.randint(0, 3), self.random.randint(0, 3)) for _ in range(3))
        return [(0, 0), rows, columns, channels if self.chance(0.3) else (0, 0)]

    def filters(self, x: Value, taps: int = 1) -> int:
        return self.channels(x.shape[1] * x.shape[2], x.shape[3] * taps)

    def convolution(self, x: Value) -> Value:
        kernel = self.random.choice(((3, 3), (3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (3, 1), (2, 2), (1, 1)))
        if x.shape[1] * x.shape[2] * x.shape[3] * 8 * kernel[0] * kernel[1] > MOST_MACS:
            return self.g.conv2d(x, 8, 1, 2)
        taps = kernel[0] * kernel[1]
        stride = 2 if self.chance(0.4) and min(x.shape[1:3]) > 8 else 1
        groups = 1
        if self.chance(0.1):
            groups = next((n for n in (4, 2) if x.shape[3] % n == 0), 1)
        filters = up_to(self.filters(x, taps), groups)
        return self.g.conv2d(x, filters, kernel, stride, "SAME", groups=groups, fused=self.random.choice(FUSED))

    def pointwise(self, x: Value) -> Value:
        return self.g.conv2d(x, self.filters(x), fused=self.random.choice(FUSED))

    def quantized(self, x: Value) -> Value:
        """Convolutions in int8, of which two in a row need no conversion between them."""
        y = self.g.quantize(x)
        for _ in range(self.random.randint(1, 3)):
            kernel = self.random.choice((1, 1, 3))
            y = self.g.conv2d(y, self.filters(y, kernel * kernel), kernel, 1, "SAME", fused="RELU")
        return self.g.dequantize(y)

    def dynamic(self, x: Value) -> Value:
        """A convolution of dynamic range: float values, int8 weights."""
        kernel = self.random.choice((1, 1, 3))
        filters = self.filters(x, kernel * kernel)
        return self.g.conv2d(x, filters, kernel, 1, "SAME", storage="int8_direct", fused="RELU")

    def depthwise(self, x: Value) -> Value:
        kernel = self.random.choice((3, 3, 5, 5, 7, (1, 3), 2))
        stride = 2 if self.chance(0.4) and min(x.shape[1:3]) > 8 else 1
        return self.g.depthwise(x, kernel, stride, "SAME", fused=self.random.choice(FUSED))

    def pool(self, x: Value) -> Value:
        code = self.random.choice(("MAX_POOL_2D", "AVERAGE_POOL_2D"))
        size = self.random.choice((2, 3))
        if min(x.shape[1:3]) < 6:
            return x
        return self.g.pool(code, x, size, self.random.choice((1, 2)), self.random.choice(("SAME", "VALID")))

    def unary(self, x: Value) -> Value:
        code = self.random.choice(MAP_UNARY)
        return self.g.unary(code, x, **({"alpha": 0.25} if code == "LEAKY_RELU" else {}))

    def prelu(self, x: Value) -> Value:
        return self.g.prelu(x)

    def constant(self, x: Value) -> Value:
        shape = self.random.choice(((), (x.shape[3],), (1, 1, 1, x.shape[3]), (1, *x.shape[1:3], 1)))
        code = self.random.choice(("ADD", "MUL", "SUB", "MAXIMUM", "DIV", "SQUARED_DIFFERENCE"))
        return self.g.binary(code, x, self.g.random_constant(shape))

    def residual(self, x: Value) -> Value:
        y = self.g.conv2d(x, x.shape[3])
        return self.g.binary(self.random.choice(("ADD", "ADD", "MUL", "SUB")), x, y, self.random.choice(FUSED))

    def joined(self, x: Value) -> Value:
        parts = [x, *(self.pointwise(x) for _ in range(self.random.randint(1, 3)))]
        return self.g.conv2d(self.g.concat(parts), 16)

    def split(self, x: Value) -> Value:
        if x.shape[3] % 2:
            return x
        left, right = self.g.split(x, 2)
        return self.g.concat([right, left])

    def sliced(self, x: Value) -> Value:
        if x.shape[1] < 8 or x.shape[3] < 8:
            return x
        size = [1, x.shape[1] - self.random.randint(0, 3), x.shape[2], x.shape[3] - self.random.choice((0, 0, 4))]
        return self.g.slice(x, (0, 0, 0, 0), size)

    def padded(self, x: Value) -> Value:
        return self.g.pad(x, self.padding())

    def resized(self, x: Value) -> Value:
        if x.shape[1] * x.shape[2] * x.shape[3] > LARGEST_MAP / 8:
            return x
        return self.g.resize_bilinear(x, x.shape[1] * 2, x.shape[2] * 2, half_pixel=True)

    def enlarged(self, x: Value) -> Value:
        if x.shape[1] * x.shape[2] > 64 * 64:
            return x
        kernel = self.random.choice((2, 3, 4))
        return self.g.transpose_conv(x, self.channels(4 * x.shape[1] * x.shape[2], x.shape[3] * 4), kernel, 2)

    def rearranged(self, x: Value) -> Value:
        if x.shape[3] % 4 == 0 and self.chance(0.5):
            return self.g.depth_to_space(x, 2)
        if x.shape[1] % 2 == 0 and x.shape[2] % 2 == 0 and self.chance(0.5):
            return self.g.space_to_depth(x, 2)
        return self.g.transpose(x, self.random.choice(((0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1))))

    def gated(self, x: Value) -> Value:
        s = self.g.mean(x, keep_dims=True)
        s = self.g.conv2d(self.g.conv2d(s, max(4, x.shape[3] // 4), fused="RELU"), x.shape[3])
        return self.g.binary("MUL", x, self.g.unary("LOGISTIC", s))

    def refused(self, x: Value) -> Value:
        """An operator that XNNPACK does not take, so that TFLite runs it between two partitions."""
        return REFUSED[self.random.choice(("gather", "resize_nearest", "l2_norm", "sign", "tile", "mirror_pad"))].part(
            self.g, x
        )

    def reduced(self, x: Value) -> Value:
        y = self.g.reduce(self.random.choice(("MEAN", "SUM", "REDUCE_MAX")), x, (3,), keep_dims=True)
        return self.g.binary("ADD", x, y)


_LAYERS = (
    *(_Mixed.convolution,) * 5,
    *(_Mixed.pointwise,) * 3,
    *(_Mixed.depthwise,) * 3,
    *(_Mixed.unary,) * 3,
    *(_Mixed.padded,) * 3,
    *(_Mixed.constant, _Mixed.residual, _Mixed.pool, _Mixed.joined, _Mixed.enlarged, _Mixed.rearranged) * 2,
    *(_Mixed.sliced, _Mixed.reduced, _Mixed.quantized, _Mixed.dynamic) * 2,
    *(_Mixed.prelu, _Mixed.split, _Mixed.resized, _Mixed.gated, _Mixed.refused),
)


def up_to(number: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-number // step) * step
