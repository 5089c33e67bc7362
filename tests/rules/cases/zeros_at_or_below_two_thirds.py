from __future__ import annotations

from tests.rules.case_parts import Pair, flatten, head
from xnnlint.modelbuilder.building_blocks import stem, tail

PAIRS = [
    Pair(
        "XNN301 two thirds",
        lambda g: tail(g, g.conv2d(g.depthwise(stem(g, filters=6)), 16, zeros=64, storage="sparse")),
        lambda g: tail(g, g.conv2d(g.depthwise(stem(g, filters=6)), 16, zeros=65, storage="sparse")),
        "dense",
        "CONV_2D",
        "66.7% (64 of 96 weights)",
        "prune 1 more",
    ),
    Pair(
        "XNN301 dense classifier counts",
        head(lambda g, x: g.output(g.fully_connected(g.mean(x), 5, keep_num_dims=True))),
        head(lambda g, x: g.output(g.fully_connected(flatten(g, g.mean(x)), 5, keep_num_dims=True))),
        "dense",
        "FULLY_CONNECTED",
        "of 208 weights",
        "put a Flatten or Reshape in front of dense",
    ),
]
