from __future__ import annotations

from tests.rules.case_parts import Fill, Pair
from xnnlint.modelbuilder.building_blocks import pruned, stem, tail


def _dynamic_range(storage: str) -> Fill:
    return lambda g: tail(g, pruned(g, g.conv2d(g.depthwise(stem(g)), 16, zeros=0.8, storage=storage), 24))


PAIRS = [
    Pair(
        "XNN100 dynamic range",
        _dynamic_range("int8_direct"),
        _dynamic_range("dense"),
        "dense",
        "",
        "quantized at run time",
        "float16 weights keep the sparse path",
    ),
    Pair(
        "XNN100 dynamic range, stored sparse",
        _dynamic_range("sparse_int8_direct"),
        _dynamic_range("sparse_int8"),
        "fails",
        "",
        "quantized at run time",
        "without 8-bit quantization",
    ),
]
