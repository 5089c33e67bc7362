from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import pruned


def _map_output(ended: bool) -> Head:
    def part(g: ModelBuilder, x: Value) -> None:
        y = pruned(g, x, 12, "NONE")
        g.output(g.fully_connected(g.mean(x), 5), g.depth_to_space(y) if ended else y)

    return part


PAIRS = [
    Pair(
        "XNN201 map output",
        head(_map_output(False)),
        head(_map_output(True)),
        "wrong-results",
        "CONV_2D",
        "an output of the model",
        "depth_to_space",
    ),
]
