from __future__ import annotations

from tests.rules.case_parts import Pair, weights

PAIRS = [
    Pair("XNN302 stored dense", weights(0.8, "dense"), weights(0.8, "sparse"), "dense", "CONV_2D", "79.7%", "SPARSITY"),
    Pair(
        "XNN302 float16 stored dense",
        weights(0.8, "fp16"),
        weights(0.8, "sparse_fp16"),
        "dense",
        "CONV_2D",
        "79.7% zeros, all stored dense",
        "EXPERIMENTAL_SPARSITY",
    ),
]
