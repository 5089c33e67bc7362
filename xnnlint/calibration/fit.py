"""From measured operators to rates: non-negative least squares of the relative error."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.calibration.measure import RunSample, Sample
from xnnlint.cost.profile import Family, Rest, WholeErrors
from xnnlint.cost.work import TFLITE

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
FEWEST = 3
"""Samples that a family needs."""
FLOOR = 1.0
"""Microseconds added to a time before errors are taken relative to it: the clock's own error is of that size."""
_ROBUST_ROUNDS = 4
_HUBER = 2.5


class Fit(Struct, frozen=True):
    """The rates of every family with enough samples, and the errors of whole networks."""

    families: dict[str, Family]
    errors: WholeErrors


def fit_families(samples: Iterable[Sample]) -> Fit:
    """Fit all rates, and again without each fifth of the networks, to see how far off these are then predicted."""
    by_family: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_family[sample.work.family].append(sample)
        if sample.work.family.startswith(TFLITE) and sample.work.family != TFLITE:
            pooled = sample.work._replace(family=TFLITE)
            by_family[TFLITE].append(replace(sample, work=pooled))
    families, left_out = {}, []
    for name, members in by_family.items():
        if len(members) >= FEWEST:
            predicted = [*_cross_validated(members)]
            families[name] = _family(members, predicted)
            left_out += predicted if name != TFLITE else []
    return Fit(families, _whole_errors(left_out))


def _cross_validated(samples: Sequence[Sample]) -> Iterator[tuple[Sample, float]]:
    """Each sample with its time as predicted from the other networks."""
    names = _names(samples)
    for fold in range(FOLDS):
        left_out = [sample for sample in samples if _fold(sample) == fold]
        kept = [sample for sample in samples if _fold(sample) != fold]
        if left_out and len(kept) >= FEWEST:
            rates = _fit(kept, names)
            yield from ((sample, _time(sample, rates)) for sample in left_out)


def _fold(sample: Sample) -> int:
    return zlib.crc32(sample.source.encode()) % FOLDS


def _names(samples: Sequence[Sample]) -> list[str]:
    return sorted({name for sample in samples for name in sample.work.counts})


def _family(samples: Sequence[Sample], predicted: Sequence[tuple[Sample, float]]) -> Family:
    times = [sample.microseconds for sample in samples]
    off = [(time - sample.microseconds) / (sample.microseconds + FLOOR) for sample, time in predicted]
    return Family(_fit(samples, _names(samples)), _spread(off, 0.5), len(samples), min(times), max(times))


def _spread(errors: Sequence[float], unknown: float) -> float:
    """The root mean square without the worst twentieth: on a busy machine some minimum is none."""
    squares = sorted(error**2 for error in errors)[: math.ceil(len(errors) * 0.95)]
    return math.sqrt(sum(squares) / len(squares)) if squares else unknown


def _whole_errors(predicted: Iterable[tuple[Sample, float]]) -> WholeErrors:
    """From the operators of networks that were left out: each network's sum, and the ratio of a network's variants."""
    sums: dict[str, dict[str, tuple[float, float]]] = defaultdict(lambda: defaultdict(lambda: (0.0, 0.0)))
    for sample, time in predicted:
        real, guess = sums[sample.source][sample.model]
        sums[sample.source][sample.model] = real + sample.microseconds, guess + time
    totals, ratios = [], []
    for variants in sums.values():
        off = [math.log(guess / real) for real, guess in variants.values() if guess > 0 and real > 0]
        totals += off
        ratios += [off[0] - off[1]] if len(off) == 2 else []
    known = WholeErrors()
    return WholeErrors(_spread(totals, known.total), _spread(ratios, known.ratio))


def _time(sample: Sample, rates: dict[str, float]) -> float:
    return sum(rates.get(name, 0.0) * count for name, count in sample.work.counts.items())


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

    runs = sorted(runs, key=lambda run: run.microseconds)[: max(8, len(runs) // 5)]
    counts = np.array([[1.0, run.partitions - 1, run.count, run.border] for run in runs], float)
    times = np.array([max(0.0, run.microseconds - run.operators) for run in runs])
    weights = np.array([1 / (run.microseconds + FLOOR) for run in runs])
    return Rest(*solve(counts, times, weights))
