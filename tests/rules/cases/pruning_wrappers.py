from __future__ import annotations

from tests.rules.case_parts import Pair
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import stem, tail


def _wrapped(g: ModelBuilder) -> None:
    """As converted with its pruning wrappers: kernels in Keras' order, put into the runtime's at run time."""
    x = g.depthwise(stem(g), fused="RELU")
    for name, filters in (("expand", 16), ("project", 24)):
        kernel = g.weight((1, 1, x.shape[3], filters), x.shape[3], 0.8)
        kernel = g.transpose(kernel, (3, 0, 1, 2))
        x = g.conv2d(x, filters, weights=kernel, fused="RELU", name=f"net/prune_low_magnitude_{name}/Conv2D")
    tail(g, x)


def _stripped(g: ModelBuilder) -> None:
    x = g.depthwise(stem(g), fused="RELU")
    for name, filters in (("expand", 16), ("project", 24)):
        x = g.conv2d(x, filters, zeros=0.8, storage="sparse", fused="RELU", name=f"net/{name}/Conv2D")
    tail(g, x)


PAIRS = [
    Pair(
        "XNN306 wrapped",
        _wrapped,
        _stripped,
        "dense",
        "CONV_2D",
        "computed: prune_low_magnitude_expand, prune_low_magnitude_project",
        "strip_pruning",
    ),
]
