"""Counting zeros: `xnnlint.model.weights.count_zeros` against `numpy.count_nonzero` on the same array.

    python benchmarks/zero_count.py [--elements 4194304] [--runs 30]

Random weights, 80% zeros, a tenth of them -0.0. Prints both times and their ratio for float16 and float32; exits 1
where float16 is less than 4 times as fast as numpy, or float32 less than 0.7 times.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from xnnlint.model.weights import count_zeros

LEAST_RATIO = {"float16": 4.0, "float32": 0.7}


def weights(elements: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    array = rng.standard_normal(elements, np.float32).astype(dtype)
    array[rng.random(elements) < 0.8] = 0
    array[rng.random(elements) < 0.1] *= -1
    return array


def best_seconds(runs: int, count: Callable[[np.ndarray], int], array: np.ndarray) -> float:
    """The best of several runs, which is what other work on the machine disturbs least."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        count(array)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", type=int, default=1 << 22)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()

    too_slow = False
    for dtype, least in LEAST_RATIO.items():
        array = weights(options.elements, dtype)
        if count_zeros(array) != array.size - np.count_nonzero(array):
            sys.exit(f"{dtype}: the two counts differ")
        ours = best_seconds(options.runs, count_zeros, array)
        theirs = best_seconds(options.runs, np.count_nonzero, array)
        ratio = theirs / ours
        too_slow |= ratio < least
        print(
            f"{dtype}: {ours * 1e3:.2f} ms, numpy.count_nonzero {theirs * 1e3:.2f} ms:"
            f" {ratio:.1f} times as fast (at least {least})"
        )
    return int(too_slow)


if __name__ == "__main__":
    sys.exit(main())
