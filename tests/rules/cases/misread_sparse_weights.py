from __future__ import annotations

from tests.rules.case_parts import Head, Pair, head
from xnnlint.modelbuilder.builder import ModelBuilder, Value


def _dense(storage: str, block: int) -> Head:
    """A hidden layer on the pooled map, behind a sparse trunk."""

    def part(g: ModelBuilder, x: Value) -> None:
        hidden = g.fully_connected(g.mean(x), 32, fused="RELU")
        g.output(g.fully_connected(hidden, 24, zeros=0.75, storage=storage, block=block))

    return part


PAIRS = [
    Pair(
        "XNN404 int8 in blocks by channel",
        head(_dense("sparse_direct_qc8", 16)),
        head(_dense("sparse_direct_int8", 16)),
        "wrong-results",
        "FULLY_CONNECTED",
        "read by FULLY_CONNECTED version 12",
        "store these weights dense",
        unlocks=False,
    ),
    Pair(
        "XNN404 float16 in blocks",
        head(_dense("sparse_direct_fp16", 4)),
        head(_dense("sparse_fp16", 1)),
        "wrong-results",
        "DEQUANTIZE",
        "float16 weights [24, 32]",
        "store these weights dense",
        unlocks=False,
    ),
    Pair(
        "XNN404 blocks of another size",
        head(_dense("sparse_direct", 8)),
        head(_dense("sparse_direct", 4)),
        "fails",
        "FULLY_CONNECTED",
        "read by FULLY_CONNECTED version 8",
        "store these weights dense",
        unlocks=False,
    ),
]
