from __future__ import annotations

from tests.rules.case_parts import Pair, weights

PAIRS = [
    Pair("XNN303 no zeros", weights(0, "dense"), weights(0.8, "sparse"), "dense", "", "0.0% zeros", "prune"),
]
