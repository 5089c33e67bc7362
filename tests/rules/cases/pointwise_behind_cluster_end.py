from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned


def _behind_end(later: bool) -> Head:
    """A 1x1 convolution in front of DEPTH_TO_SPACE, or behind it."""

    def part(g: ModelBuilder, x: Value) -> None:
        y = pruned(g, x, 24)
        g.output(g.conv2d(g.depth_to_space(y), 6, name="scores") if later else g.depth_to_space(y))

    return part


PAIRS = [
    Pair(
        "XNN305 behind the end",
        head(_behind_end(True)),
        head(_behind_end(False)),
        "sparse",
        "CONV_2D",
        "0.0% of their weights",
        "",
        unlocks=False,
    ),
]
