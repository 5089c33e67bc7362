"""What `xnnlint fix` makes of models, in time: predicted, and measured natively.

    python benchmarks/fix_by_time.py [MODEL_OR_FOLDER...] [--bench-models FOLDER] [--prune 0.8] [--only safe]

`--bench-models` adds what benchmarks/bench_models.py times: the guide's models, those of the mediapipe wheel and
networks of keras.applications, which are made in FOLDER where they are not there yet. Each .tflite file is fixed with
safe fixes only, and with unsafe ones (with --prune also pruned to that share of zeros), as the command does it: proven,
timed, and only written where it pays. Prints the table of docs/fix-tflite.md: the 1x1 convolutions that run SpMM then,
how many times as fast the file is, with its 95% interval, and what was predicted; an empty cell where there is nothing
to change. Ends with how many of those that were written are more than 3% slower than before, which should be none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import bench_models

from xnnlint.errors import XnnlintError
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Version
from xnnlint.fixes.tflite.file_fixer import FileFixer
from xnnlint.xnnpack.profile import load_profile

SLOWER = 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--bench-models", type=Path, metavar="FOLDER")
    parser.add_argument("--prune", type=float, metavar="SHARE", help="with unsafe fixes: prune to this share of zeros")
    parser.add_argument("--only", choices=("safe", "unsafe"))
    parser.add_argument("--cpu", default="x86-sse", help="to plan for")
    options = parser.parse_args()
    profile = load_profile(cpu=options.cpu)
    requests = {"safe": FixRequest(profile), "unsafe": FixRequest(profile, unsafe=True, prune=options.prune)}
    rows: dict[str, dict[str, str]] = {}
    ratios = []
    models = [*_files(options.models), *_bench_models(options.bench_models)]
    for kind, request in requests.items():
        if options.only in (None, kind):
            with FileFixer(request) as fixer, tempfile.TemporaryDirectory() as folder:
                for path in models:
                    row, ratio = _fix(fixer, path, Path(folder, path.name))
                    print(f"{path.stem}, {kind} fixes: {row}", file=sys.stderr, flush=True)
                    rows.setdefault(path.stem, {})[kind] = row
                    ratios += [] if ratio is None else [ratio]
    print("| model | safe fixes | unsafe fixes |\n| --- | --- | --- |")
    for name, row_of in rows.items():
        print(f"| {name} | {' | '.join(row_of.get(kind, '') for kind in requests)} |")
    slower = sum(ratio < SLOWER for ratio in ratios)
    print(f"\n{len(ratios)} changed files that were correct before: {slower} slower by more than 3%")


def _files(named: Iterable[Path]) -> Iterator[Path]:
    for path in named:
        yield from sorted(path.rglob("*.tflite")) if path.is_dir() else [path]


def _bench_models(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        return
    folder.mkdir(exist_ok=True, parents=True)
    for entry in bench_models.entries(folder, ()):
        if entry.make is not None and not entry.path.is_file():
            entry.make()
        yield entry.path


def _fix(fixer: FileFixer, path: Path, target: Path) -> tuple[str, float | None]:
    """The model's cell, and the measured ratio if there is one that counts."""
    try:
        done = fixer.fix(str(path), str(target))
    except XnnlintError as error:
        return f"refused: {str(error).rpartition(': ')[2].replace(str(path), 'it')}", None
    if done.declined is not None:
        version, gain = done.declined.version, done.declined.gain
        told = f"predicted {gain.ratio:.2f}" if gain is not None else "no prediction"
        return f"{_spmm(version)}: not written ({told})", None
    if not done.after.changes:
        return "", None
    gain, measured = done.result.gain, done.measured
    cell = _spmm(done.after)
    if measured is not None:
        ratio = measured.ratio
        cell += f": {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    if gain is not None:
        cell += f", predicted {gain.ratio:.2f}"
    return cell, measured.ratio.value if measured is not None and done.before.plan.is_correct else None


def _spmm(version: Version) -> str:
    return f"{len(version.spmm)} of {len(version.pointwise)}"


if __name__ == "__main__":
    main()
