"""How far predicted times are from measured ones, on models that the rates were not fitted to.

    python benchmarks/cost_model.py DIR_OR_MODEL... [--prune 0.8] [--rounds 40] [--save FILE] [--again FILE]

Each .tflite model is timed natively as it is, with its weights stored dense where it runs sparse, and, with --prune, as
`xnnlint fix --unsafe-fixes --prune SHARE` leaves it, sparse and stored dense. All variants of a model are timed in
turns; a time is that of the fastest whole run. Prints, for each pair of variants, the measured and the predicted ratio
of their times, then the errors of whole models and of each kernel family. --save keeps the measurements, --again FILE
reads them instead of measuring.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from xnnlint.cost.plan_work import xnnpack_work
from xnnlint.cost.prediction import Prediction
from xnnlint.cost.predictor import OUTSIDE, gain, predict
from xnnlint.cost.profile import CostProfile, read_profile, shipped_profile
from xnnlint.errors import XnnlintError
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.sparse_encoding import stored_dense
from xnnlint.loaders import load
from xnnlint.runtime import targets
from xnnlint.runtime.timing import Timing, time_models
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import Profile, load_profile, runtime_of_litert

PAIRS = (("dense", "as it is"), ("fixed, dense", "fixed"), ("as it is", "fixed"))
"""Whose time over whose is a ratio; the last is what `fix` changes."""
GOOD, TELLING = 0.15, 0.05


@dataclass(frozen=True)
class Variant:
    """One file of a model and what it took: microseconds in all, and of each XNNPACK operator."""

    model: str
    kind: str
    path: str
    total: float = 0.0
    operators: tuple[float, ...] = ()
    error: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--prune", type=float, metavar="SHARE")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--profile", type=Path, help="a profile other than the one that ships")
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE")
    options = parser.parse_args()
    target = targets.resolve("x86-sse" if targets.host_machine() == "x86-64" else targets.AUTO)
    runtime = load_profile(runtime_of_litert(target.release.version)[0], target.cpu)
    rates = read_profile(options.profile) if options.profile else shipped_profile(target.cpu)
    if rates is None:
        raise SystemExit(f"there is no cost profile for {target.cpu}; give one with --profile")
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as scratch:
        folder = options.save.with_suffix(".models") if options.save else Path(scratch)
        if options.again:
            measured = [Variant(**entry) for entry in json.loads(options.again.read_text())]
        else:
            folder.mkdir(exist_ok=True)
            measured = [*_measure(_files(options.models), folder, runtime, target, options)]
        if options.save:
            options.save.write_text(json.dumps([asdict(variant) for variant in measured]))
        report(measured, runtime, rates)


def _files(named: Iterable[Path]) -> Iterator[Path]:
    for path in named:
        yield from sorted(path.rglob("*.tflite")) if path.is_dir() else [path]


def _measure(
    paths: Iterable[Path], folder: Path, runtime: Profile, target: targets.Target, options: argparse.Namespace
) -> Iterator[Variant]:
    for path in paths:
        try:
            made = dict(_variants(path, folder, runtime, options.prune))
        except XnnlintError as error:
            print(f"{path.stem}: {error}", flush=True)
            continue
        timings = time_models(list(made.values()), target, rounds=options.rounds)
        for (kind, file), timing in zip(made.items(), timings, strict=True):
            yield _measured(path.stem, kind, file, timing)


def _variants(path: Path, folder: Path, runtime: Profile, prune: float | None) -> Iterator[tuple[str, Path]]:
    data = path.read_bytes()

    def kept(kind: str, content: bytes) -> tuple[str, Path]:
        file = folder / f"{path.stem}.{kind.replace(', ', '-').replace(' ', '-')}.tflite"
        file.write_bytes(content)
        return kind, file

    yield kept("as it is", data)
    if make_plan(load(path), runtime).outcome is Outcome.SPARSE:
        yield kept("dense", stored_dense(data, str(path)))
    if prune is not None:
        result = search(data, str(path), FixRequest(runtime, unsafe=True, prune=prune), show=False)
        if result.changes:
            yield kept("fixed", result.after.data)
            yield kept("fixed, dense", stored_dense(result.after.data, str(path)))


def _measured(model: str, kind: str, path: Path, timing: Timing) -> Variant:
    if timing.error is not None:
        return Variant(model, kind, str(path), error=timing.error)
    operators = tuple(operator.microseconds for operator in timing.operators)
    return Variant(model, kind, str(path), timing.best, operators)


# -- the report


def report(measured: list[Variant], runtime: Profile, rates: CostProfile) -> None:
    """Print the tables."""
    by_model: dict[str, dict[str, Variant]] = defaultdict(dict)
    for variant in measured:
        by_model[variant.model][variant.kind] = variant
    ratios, totals = [], []
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    print("| model | of | SpMM | measured | predicted | interval | off |\n| --- | --- | --- | --- | --- | --- | --- |")
    for model, variants in by_model.items():
        plans = {kind: make_plan(load(v.path), runtime) for kind, v in variants.items() if v.error is None}
        found = {kind: prediction for kind, plan in plans.items() if (prediction := predict(plan, rates)) is not None}
        for kind, prediction in found.items():
            totals.append((model, kind, variants[kind].total, prediction))
            _note_families(plans[kind], prediction, variants[kind], rates, errors)
        for slow, fast in PAIRS:
            if slow in found and fast in found:
                real = variants[slow].total / variants[fast].total
                guess = found[slow].total / found[fast].total
                interval = gain(plans[fast], rates) if slow.endswith("dense") else None
                ratios.append((f"{slow} / {fast}", real, guess, interval))
                inside = f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""
                spmm = len(plans[fast].spmm_ops)
                cells = (model, f"{slow} / {fast}", str(spmm), f"{real:.2f}", f"{guess:.2f}", inside)
                print(f"| {' | '.join(cells)} | {guess / real - 1:+.0%} |")
    _summary(ratios, totals)
    _elsewhere([(real, guess) for _, real, guess, _ in ratios], rates)
    _families(errors)


def _summary(ratios: list, totals: list) -> None:
    print()
    for kind in [None, *dict.fromkeys(kind for kind, *_ in ratios)]:
        chosen = [(real, guess, interval) for name, real, guess, interval in ratios if kind in (None, name)]
        good = [abs(guess / real - 1) <= GOOD for real, guess, _ in chosen]
        telling = [(real > 1) == (guess > 1) for real, guess, _ in chosen if abs(math.log(real)) > math.log1p(TELLING)]
        inside = [i.low <= real <= i.high for real, _, i in chosen if i is not None]
        print(
            f"ratios {kind or 'of all pairs'}: {_share(good)} within {GOOD:.0%}; sign right for {_share(telling)}",
            end="",
        )
        print(f"; {_share(inside)} inside the interval" if inside else "")
    off = [prediction.total / total - 1 for _, _, total, prediction in totals]
    print(f"whole models: {_share([abs(e) <= GOOD for e in off])} within {GOOD:.0%}", end="")
    print(f"; {_share([p.low <= total <= p.high for _, _, total, p in totals])} inside the interval", end="")
    print(f"; median {statistics.median(off):+.1%}, of the size {statistics.median(map(abs, off)):.1%}")
    for model, kind, total, prediction in totals:
        if abs(prediction.total / total - 1) > GOOD:
            print(f"  {model}, {kind}: measured {total:.0f} us, predicted {prediction.total:.0f}")


def _elsewhere(ratios: list[tuple[float, float]], rates: CostProfile) -> None:
    """What `errors.elsewhere` of a profile should be, if this machine is not the one that it was measured on."""
    square = statistics.mean(math.log(guess / real) ** 2 for real, guess in ratios)
    beyond = math.sqrt(max(0.0, square - (OUTSIDE * rates.errors.ratio) ** 2))
    print(f"standard error of a ratio: {math.sqrt(square):.3f}; beyond what the profile says of its own: {beyond:.3f}")


def _share(flags: list[bool]) -> str:
    return f"{sum(flags)} of {len(flags)} ({sum(flags) / len(flags):.0%})" if flags else "none"


def _note_families(
    plan: Plan,
    prediction: Prediction,
    variant: Variant,
    rates: CostProfile,
    errors: dict[str, list[tuple[float, float]]],
) -> None:
    if len(variant.operators) != len(plan.operators):
        return
    works = xnnpack_work(plan, rates.tiles)
    for item, cost, real in zip(works, prediction.operators, variant.operators, strict=False):
        errors[item.work.family].append((real, cost.microseconds))


def _families(errors: dict[str, list[tuple[float, float]]]) -> None:
    print("\n| kernel family | operators | measured ms | predicted ms | median error | worst tenth above |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family, pairs in sorted(errors.items(), key=lambda entry: -sum(real for real, _ in entry[1])):
        off = sorted(abs(guess - real) / (real + 1) for real, guess in pairs)
        real, guess = (sum(side) / 1000 for side in zip(*pairs, strict=True))
        ninth = off[int(0.9 * (len(off) - 1))]
        print(f"| {family} | {len(pairs)} | {real:.2f} | {guess:.2f} | {statistics.median(off):.0%} | {ninth:.0%} |")


if __name__ == "__main__":
    main()
