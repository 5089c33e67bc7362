from __future__ import annotations

from tests.rules.case_parts import PLAIN, Pair

HALF = {"reduced_precision_support": b"fp16accfp16"}


PAIRS = [
    Pair(
        "XNN502 float16 arithmetic",
        PLAIN,
        PLAIN,
        "dense",
        "",
        "fp16accfp16",
        "float16 weights are fine",
        cpu="arm64-fp16",
        good_cpu="arm64-fp16",
        metadata=HALF,
        good_metadata={"reduced_precision_support": b"fp16accfp32"},
    ),
    Pair(
        "XNN502 float16 arithmetic elsewhere",
        PLAIN,
        PLAIN,
        "sparse",
        "",
        "fp16accfp16",
        "float16 weights are fine",
        metadata=HALF,
        unlocks=False,
    ),
]
