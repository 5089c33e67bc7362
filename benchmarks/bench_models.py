"""Whether sparse pays on many models: times them here, and writes docs/bench-models.md.

    python benchmarks/bench_models.py MODELS_DIR [--only TEXT] [--seconds 20] [--more FILE...] [--write FILE]

Fixtures that are pruned are timed beside themselves stored dense; the models of the mediapipe wheel (as tests/models.py
gets it) and --more files, which are not pruned, beside what `fix --unsafe-fixes --prune 0.8` makes of them; networks of
keras.applications at several widths and sizes (extra tf), 80% of whose 1x1 weights are zero, beside what
`fix --unsafe-fixes` makes of them. MODELS_DIR keeps the networks that were made, and results.json; what is in there is
not made and timed again. Let the machine do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from xnnlint.bench.measure import Measurement, measure
from xnnlint.bench.variants import Comparison, Pair, pair_if_pruned, pair_of, pair_with_fixes
from xnnlint.calibration.calibrate import cpu_model
from xnnlint.cost.predictor import compared
from xnnlint.errors import XnnlintError
from xnnlint.runtime.verify import Setting, choose
from xnnlint.xnnpack.profile import Profile

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]
DOCUMENT = ROOT / "docs" / "bench-models.md"
PRUNED = 0.8
GUIDE = ("guide_sparse", "guide_wide_sparse", "guide_fp16_sparse", "guide_half")
GOOD, TELLING = 0.15, 0.05

# Constructor of keras.applications, input size, its options.
NETWORKS = [
    ("MobileNet", 128, {"alpha": 0.25}),
    ("MobileNet", 160, {"alpha": 0.5}),
    ("MobileNet", 224, {"alpha": 0.75}),
    ("MobileNet", 224, {"alpha": 1.0}),
    ("MobileNetV2", 128, {"alpha": 0.35}),
    ("MobileNetV2", 96, {"alpha": 0.5}),
    ("MobileNetV2", 160, {"alpha": 0.75}),
    ("MobileNetV2", 224, {"alpha": 1.0}),
    ("MobileNetV2", 224, {"alpha": 1.4}),
    ("MobileNetV3Small", 224, {"minimalistic": True}),
    ("MobileNetV3Small", 224, {}),
    ("MobileNetV3Large", 224, {}),
    ("EfficientNetB0", 128, {}),
    ("EfficientNetB0", 224, {}),
    ("EfficientNetV2B0", 224, {}),
    ("NASNetMobile", 224, {}),
    ("DenseNet121", 224, {}),
    ("ResNet50V2", 224, {}),
]
_RESCALING = ("MobileNetV3", "EfficientNet")


@dataclass(frozen=True)
class Entry:
    """One model: its name and kind, and what makes its two variants; `make` writes the file first, where it is not
    there."""

    name: str
    kind: str
    path: Path
    pair: Callable[[Profile], Pair]
    make: Callable[[], None] | None = None


@dataclass(frozen=True)
class Timed:
    """A row of the table; times in microseconds."""

    name: str
    kind: str
    comparison: str
    spmm: tuple[int, int]
    before: float
    after: float
    ratio: tuple[float, float | None, float | None]
    predicted: tuple[float, float, float] | None
    outcome: str | None
    declined: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="MODELS_DIR")
    parser.add_argument("--only", default="", help="models whose name contains this text")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each model, at most")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="further .tflite files that are not pruned")
    parser.add_argument("--write", type=Path, default=DOCUMENT)
    parser.add_argument("--make", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        _make_network(options.make, options.folder)
        return
    options.folder.mkdir(exist_ok=True, parents=True)
    setting = choose(seeds=1)
    kept = options.folder / "results.json"
    done = {row["name"]: Timed(**row) for row in json.loads(kept.read_text())} if kept.is_file() else {}
    for entry in entries(options.folder, options.more):
        if options.only in entry.name and entry.name not in done:
            row = timed(entry, setting, options.seconds)
            if row is not None:
                done[entry.name] = row
                kept.write_text(json.dumps([asdict(row) for row in done.values()], indent=1))
                print(line(row), flush=True)
    options.write.write_text("\n".join(document(list(done.values()), setting)) + "\n", encoding="utf-8")


# --- the models ------------------------------------------------------------------------------------------------------


def entries(folder: Path, more: Iterable[Path]) -> Iterator[Entry]:
    """Every model, in the order of the table."""
    for name in GUIDE:
        path = ROOT / "fixtures" / f"{name}.tflite"
        yield Entry(name, "guide", path, partial(pair_of, str(path)))
    yield from _mediapipe()
    for path in more:
        yield Entry(path.stem, "other", path, partial(pair_if_pruned, str(path), share=PRUNED, unsafe=True))
    for constructor, size, given in NETWORKS:
        name = _network_name(constructor, size, given)
        path = folder / f"{name}.tflite"
        make = [sys.executable, __file__, str(folder), "--make", name]
        # A process of its own, so that TensorFlow is gone when it is timed.
        yield Entry(
            name,
            "keras",
            path,
            partial(pair_with_fixes, str(path), unsafe=True),
            partial(subprocess.run, make, check=True),
        )


def _mediapipe() -> Iterator[Entry]:
    from tests.models import Unavailable, mediapipe_models

    try:
        found = sorted(mediapipe_models().rglob("*.tflite"))
    except Unavailable as error:
        print(f"without mediapipe's models: {error}", file=sys.stderr)
        return
    for path in found:
        is_pruned = "sparse" in path.stem
        pair = (
            partial(pair_of, str(path)) if is_pruned else partial(pair_if_pruned, str(path), share=PRUNED, unsafe=True)
        )
        yield Entry(path.stem, "mediapipe", path, pair)


def _network_name(constructor: str, size: int, given: dict[str, object]) -> str:
    options = "".join(f"_{key}{'' if value is True else value}" for key, value in given.items())
    return f"{constructor}{options}_{size}"


def _make_network(name: str, folder: Path) -> None:
    import keras_apps

    constructor, size, given = next(network for network in NETWORKS if _network_name(*network) == name)
    contrast = keras_apps.RESCALES if constructor.startswith(_RESCALING) else 1.0
    app = keras_apps.App(name, getattr(keras_apps.applications, constructor), size, given, contrast)
    _, content, _ = keras_apps.make(app)
    (folder / f"{name}.tflite").write_bytes(content)


# --- timing ----------------------------------------------------------------------------------------------------------


def timed(entry: Entry, setting: Setting, seconds: float) -> Timed | None:
    """A model's row; None where it has no two variants, with the reason on stderr."""
    try:
        if entry.make is not None and not entry.path.is_file():
            entry.make()
        measured = measure(entry.pair(setting.profile), setting, seconds=seconds)
    except (XnnlintError, subprocess.CalledProcessError) as error:
        print(f"{entry.name}: {error}", file=sys.stderr)
        return None
    if measured.ratio is None:
        print(f"{entry.name}: it fails: {measured.observation.error}", file=sys.stderr)
        return None
    return _row(entry, measured)


def _row(entry: Entry, measured: Measurement) -> Timed:
    pair, ratio = measured.pair, measured.ratio
    gain = compared(pair.before.plan, pair.after.plan)
    before, after = measured.before, measured.after
    assert ratio is not None and before.microseconds is not None and after.microseconds is not None
    return Timed(
        entry.name,
        entry.kind,
        pair.comparison.value,
        (len(pair.before.plan.spmm_ops), len(pair.after.plan.spmm_ops)),
        before.microseconds,
        after.microseconds,
        (ratio.value, ratio.low, ratio.high),
        None if gain is None else (gain.ratio, gain.low, gain.high),
        measured.observation.outcome,
        pair.declined,
    )


# --- the document ----------------------------------------------------------------------------------------------------

_KINDS = {
    "guide": "the guide's model",
    "mediapipe": "mediapipe 0.10.14",
    "keras": "keras.applications",
    "other": "others",
}
_COMPARED = {
    Comparison.STORED_DENSE.value: "stored dense -> sparse",
    Comparison.FIXED.value: "as converted -> fixed",
    Comparison.PRUNED.value: "dense -> pruned, fixed",
}


def document(rows: list[Timed], setting: Setting) -> Iterator[str]:
    """The lines of docs/bench-models.md."""
    target = setting.target
    yield "# Does it pay? Many models, timed"
    yield ""
    yield "Made by `python benchmarks/bench_models.py`; what is compared with what, and how it is timed, is in"
    yield "[bench.md](bench.md). Above 1, the second of two variants is faster. What `fix` declines, since it is"
    yield "predicted to be slower, is timed all the same."
    yield ""
    yield f"LiteRT {target.release.version} on {target.cpu} ({target.execution.words}), {cpu_model()}, 1 thread,"
    yield f"{datetime.date.today().isoformat()}. On an ARM phone the ratios are others."
    yield ""
    yield "| model | compared | SpMM | ms before | ms after | ratio | 95% interval | predicted | interval |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for kind, words in _KINDS.items():
        of_kind = [row for row in rows if row.kind == kind]
        if of_kind:
            yield f"| **{words}** | | | | | | | | |"
            yield from map(line, of_kind)
    yield ""
    yield from _summary(rows)


def line(row: Timed) -> str:
    """A row of the table."""
    ratio, low, high = row.ratio
    wrong = "" if row.outcome in ("sparse", "dense") else f" ({row.outcome})"
    predicted = ("", "") if row.predicted is None else (f"{row.predicted[0]:.2f}", _interval(*row.predicted[1:]))
    declined = " (fix declines it)" if row.declined else ""
    cells = (
        row.name,
        _COMPARED[row.comparison] + wrong + declined,
        f"{row.spmm[0]} -> {row.spmm[1]}",
        f"{row.before / 1000:.3g}",
        f"{row.after / 1000:.3g}",
        f"{ratio:.2f}",
        _interval(low, high),
        *predicted,
    )
    return f"| {' | '.join(cells)} |"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _summary(rows: list[Timed]) -> Iterator[str]:
    faster = sum(row.ratio[0] > 1 for row in rows)
    yield f"{len(rows)} models: {faster} are faster, {len(rows) - faster} are not."
    told = [(row.ratio[0], row.predicted[0]) for row in rows if row.predicted is not None]
    if told:
        good = sum(abs(predicted / measured - 1) <= GOOD for measured, predicted in told)
        telling = [(m > 1) == (p > 1) for m, p in told if abs(m - 1) > TELLING]
        yield f"The cost model is within {GOOD:.0%} on {good} of {len(told)}, and says correctly whether it is faster"
        yield f"on {sum(telling)} of the {len(telling)} whose time changes by more than {TELLING:.0%}."


if __name__ == "__main__":
    main()
