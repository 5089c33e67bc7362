"""From measured operators to rates: non-negative least squares of the relative error."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .measure import RunSample, Sample
from .profile import Family, Rest

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
FEWEST = 3
"""Samples that a family needs."""
FLOOR = 1.0
"""Microseconds added to a time before errors are taken relative to it: the clock's own error is of that size."""
_ROBUST_ROUNDS = 4
_HUBER = 2.5


def fit_families(samples: Iterable[Sample]) -> dict[str, Family]:
    """The rates of every family with enough samples."""
    by_family: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_family[sample.work.family].append(sample)
    return {name: fit_family(members) for name, members in by_family.items() if len(members) >= FEWEST}


def fit_family(samples: Sequence[Sample]) -> Family:
    """The rates of one family, and their error on networks that were left out of the fit."""
    names = sorted({name for sample in samples for name in sample.work.counts})
    rates = _fit(samples, names)
    sources = sorted({sample.source for sample in samples})
    fold_of = {source: number % FOLDS for number, source in enumerate(sources)}
    squares = []
    for fold in range(FOLDS):
        left_out = [sample for sample in samples if fold_of[sample.source] == fold]
        kept = [sample for sample in samples if fold_of[sample.source] != fold]
        if not left_out or len(kept) < FEWEST:
            continue
        again = _fit(kept, names)
        squares += [_relative(sample, again) ** 2 for sample in left_out]
    times = [sample.microseconds for sample in samples]
    # The mean without the worst twentieth: on a busy machine some minimum is none.
    squares = sorted(squares)[: math.ceil(len(squares) * 0.95)]
    error = math.sqrt(sum(squares) / len(squares)) if squares else 0.5
    return Family(rates, error, len(samples), min(times), max(times))


def _time(sample: Sample, rates: dict[str, float]) -> float:
    return sum(rates.get(name, 0.0) * count for name, count in sample.work.counts.items())


def _relative(sample: Sample, rates: dict[str, float]) -> float:
    return (_time(sample, rates) - sample.microseconds) / (sample.microseconds + FLOOR)


def _fit(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, float]:
    import numpy as np

    counts = np.array([[sample.work.counts.get(name, 0.0) for name in names] for sample in samples], float)
    times = np.array([sample.microseconds for sample in samples])
    return dict(zip(names, solve(counts, times, 1 / (times + FLOOR)), strict=True))


def solve(counts: np.ndarray, times: np.ndarray, weights: np.ndarray) -> list[float]:
    """Rates, none below 0, that give the times; samples far off (a run that was disturbed) count less and less.

    Args:
        counts: a row for each sample.
        times: microseconds.
        weights: of each sample's error.
    """
    import numpy as np
    from scipy.optimize import nnls

    scale = np.maximum(np.abs(counts).max(axis=0), 1e-30)
    trust = np.ones(len(times))
    rates = np.zeros(counts.shape[1])
    for _ in range(_ROBUST_ROUNDS):
        by = (weights * np.sqrt(trust))[:, None]
        rates = nnls(counts / scale * by, times * by[:, 0])[0] / scale
        errors = np.abs(counts @ rates - times) * weights
        spread = max(1e-3, 1.48 * float(np.median(errors)))
        trust = np.minimum(1.0, _HUBER * spread / np.maximum(errors, 1e-12))
    return [float(rate) for rate in rates]


def fit_rest(runs: Sequence[RunSample]) -> Rest:
    """What whole runs take beside their operators, from the short ones: of a long run even the fastest is disturbed."""
    import numpy as np

    runs = sorted(runs, key=lambda run: run.microseconds)[: max(8, len(runs) // 2)]
    counts = np.array([[1.0, run.partitions - 1, run.count, run.border] for run in runs], float)
    times = np.array([max(0.0, run.microseconds - run.operators) for run in runs])
    weights = np.array([1 / (run.microseconds + FLOOR) for run in runs])
    return Rest(*solve(counts, times, weights))
