from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned


def _two_dense(reshaped: bool) -> Head:
    """Pooling, and two pruned fully-connected layers that keep the number of dimensions."""

    def part(g: ModelBuilder, x: Value) -> None:
        x = pruned(g, x, 24)
        y = g.mean(x)
        if reshaped:
            y = g.reshape(y, y.shape)
        y = g.fully_connected(y, 16, keep_num_dims=True, zeros=0.8, storage="sparse", fused="RELU")
        g.output(g.fully_connected(y, 5, keep_num_dims=True, zeros=0.8, storage="sparse"))

    return part


PAIRS = [
    Pair(
        "XNN603 two dense layers",
        head(_two_dense(False)),
        head(_two_dense(True)),
        "fails",
        "FULLY_CONNECTED",
        "a vector of shape [1, 24]",
        "Reshape or Flatten",
    ),
]
