from __future__ import annotations

from tests.rules.case_parts import PLAIN, Pair

PAIRS = [
    Pair("XNN501 avx", PLAIN, PLAIN, "dense", "", "AVX", "ARM", cpu="x86-avx", good_cpu="x86-sse"),
]
