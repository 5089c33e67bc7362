from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def _also_reshaped(ended: bool) -> Head:
    """A map that is pooled, and read by a RESHAPE, too: directly, or behind DEPTH_TO_SPACE."""

    def part(g: ModelBuilder, x: Value) -> None:
        n, h, w, c = x.shape
        other = g.depth_to_space(x) if ended else x
        g.output(g.fully_connected(g.mean(x), 5), g.reshape(other, (n, h * w * c)))

    return part


PAIRS = [
    Pair(
        "XNN203 reshape beside",
        head(_also_reshaped(False)),
        head(_also_reshaped(True)),
        "dense",
        "CONV_2D",
        "(RESHAPE #",
        "DEPTH_TO_SPACE",
    ),
]
