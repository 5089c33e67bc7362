from __future__ import annotations

from tests.rules.case_parts import Fill, Pair
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, stem, tail


def _two_inputs(with_stem: bool) -> Fill:
    def fill(g: ModelBuilder) -> None:
        x = pruned(g, stem(g), 16)
        other = pruned(g, stem(g), 16) if with_stem else pruned(g, g.input((1, 12, 20, 8)), 16)
        tail(g, pruned(g, g.binary("ADD", x, other), 24))

    return fill


PAIRS = [
    Pair(
        "XNN205 second input",
        _two_inputs(False),
        _two_inputs(True),
        "dense",
        "CONV_2D",
        "the model's input",
        "strides=2",
    ),
]
