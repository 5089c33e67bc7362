from __future__ import annotations

from tests.rules.case_parts import Pair, dense_head, head

PAIRS = [
    Pair(
        "XNN402 block-sparse",
        head(dense_head("sparse_direct")),
        head(dense_head("sparse")),
        "sparse",
        "FULLY_CONNECTED",
        "version 8",
        "",
        unlocks=False,
    ),
]
