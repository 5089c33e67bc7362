from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import Middle, pruned, tail


def _second_output(part: Middle | None) -> Head:
    """A feature map that the rest of the network reads, given out through the part."""

    def fill(g: ModelBuilder, x: Value) -> None:
        if part is not None:
            g.output(part(g, x))
        tail(g, pruned(g, x, 24))

    return fill


PAIRS = [
    Pair(
        "XNN204 feature given out",
        head(_second_output(lambda g, x: x)),
        head(_second_output(lambda g, x: g.depth_to_space(x))),
        "wrong-results",
        "CONV_2D",
        "an output of the model",
        "DEPTH_TO_SPACE",
    ),
]
