from __future__ import annotations

import numpy as np

from tests.rules.case_parts import Head, Pair, computed_shape, head, middle
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned
from xnnlint.modelbuilder.flatwriter import table


def flattened(g: ModelBuilder, x: Value) -> Value:
    """To a shape that is computed at run time."""
    channels = x.shape[-1]
    return g.op("RESHAPE", [x, computed_shape(g, x, (channels,))], [(1, channels)], table("ReshapeOptions"))[0]


def _rows(told: bool) -> Head:
    """Softmax of the map as rows of pixels; `told`: whether the file says how many."""

    def part(g: ModelBuilder, x: Value) -> None:
        _, height, width, channels = x.shape
        size = height * width if told else 1
        shape = computed_shape(g, x, (-1, channels))
        y = g.softmax(g.op("RESHAPE", [x, shape], [(1, size, channels)], table("ReshapeOptions"))[0])
        for record in g.tensors[-2:]:
            record.signature = (-1, size if told else -1, channels)
        g.output(y)

    return part


def _broadcast(dimensions: int) -> Head:
    """A pooled value, broadcast to its own shape, of which so many dimensions are asked for."""

    def part(g: ModelBuilder, x: Value) -> None:
        y = g.mean(x)
        target = g.constant(np.array(y.shape[2 - dimensions :], np.int32), "target")
        g.output(g.softmax(g.op("BROADCAST_TO", [y, target], [y.shape], version=3)[0]))

    return part


def _two_outputs(shared: bool) -> Head:
    def part(g: ModelBuilder, x: Value) -> None:
        first, second = g.fully_connected(g.mean(x), 5), g.mean(x)
        if shared:
            g.tensors[second.id].name = g.tensors[first.id].name
        g.output(first, second)

    return part


PAIRS = [
    Pair(
        "XNN902 outputs of one name",
        head(_two_outputs(True)),
        head(_two_outputs(False)),
        "fails",
        "FULLY_CONNECTED",
        "outputs that share a name",
        "convert with a signature",
        unlocks=False,
    ),
    Pair(
        "XNN902 a broadcast to fewer dimensions",
        head(_broadcast(0)),
        head(_broadcast(2)),
        "fails",
        "BROADCAST_TO",
        "0 at broadcast_to (BROADCAST_TO #",
        "as numbers",
        unlocks=False,
    ),
    Pair(
        "XNN902 gate without a convolution",
        middle(lambda g, x: g.binary("MUL", x, g.mean(x, keep_dims=True))),
        middle(lambda g, x: g.binary("MUL", x, pruned(g, g.mean(x, keep_dims=True), 16, "NONE"))),
        "fails",
        "MUL",
        "no RESHAPE at mean (MEAN #",
        "without EXPERIMENTAL_SPARSITY the model is correct",
        unlocks=False,
    ),
    Pair(
        "XNN902 an axis that is not there",
        head(lambda g, x: g.output(g.mean(x, (1, 2, 4)))),
        head(lambda g, x: g.output(g.mean(x, (1, 2)))),
        "fails",
        "MEAN",
        "an axis that it does not have",
        "name the axes of the value only",
        unlocks=False,
    ),
    Pair(
        "XNN902 an output of a computed shape",
        head(lambda g, x: g.output(flattened(g, g.mean(x)))),
        head(lambda g, x: g.output(g.softmax(flattened(g, g.mean(x))))),
        "fails",
        "RESHAPE",
        "a computed shape at",
        "as numbers",
        unlocks=False,
    ),
    Pair(
        "XNN902 an output of a size that the file does not tell",
        head(_rows(told=False)),
        head(_rows(told=True)),
        "fails",
        "SOFTMAX",
        "a computed shape at",
        "as numbers",
        good_outcome="dense",
        unlocks=False,
    ),
]
