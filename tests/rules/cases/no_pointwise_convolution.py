from __future__ import annotations

from tests.rules.case_parts import PLAIN, Pair
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import stem, tail


def _no_pointwise(g: ModelBuilder) -> None:
    tail(g, g.depthwise(stem(g), fused="RELU"))


PAIRS = [
    Pair("XNN304 none", _no_pointwise, PLAIN, "dense", "", "none", "SeparableConv2D", unlocks=False),
]
