"""What `xnnlint fix` makes of models, in time: predicted, and measured natively.

    python benchmarks/fix_by_time.py MODEL_OR_FOLDER... [--prune 0.8] [--only safe]

Each .tflite file is fixed with safe fixes only, and with unsafe ones (with --prune also pruned to that share of zeros),
as the command does it: proven, timed, and only written where it pays. Prints a line for each: the 1x1 convolutions in
SpMM before and after, the predicted and the measured ratio of times, and the fixes; where nothing is written, what was
considered. Ends with how many of those that were written are more than 3% slower than before, which should be none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from xnnlint.errors import XnnlintError
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_fixer import FileFixer, FileRepair
from xnnlint.xnnpack.profile import load_profile

SLOWER = 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--prune", type=float, metavar="SHARE", help="with unsafe fixes: prune to this share of zeros")
    parser.add_argument("--only", choices=("safe", "unsafe"))
    parser.add_argument("--cpu", default="x86-sse", help="to plan for")
    options = parser.parse_args()
    profile = load_profile(cpu=options.cpu)
    requests = {"safe": FixRequest(profile), "unsafe": FixRequest(profile, unsafe=True, prune=options.prune)}
    columns = ("model", "fixes", "SpMM", "predicted", "measured", "seconds", "changes")
    print(f"| {' | '.join(columns)} |\n| {' | '.join('---' for _ in columns)} |", flush=True)
    ratios = []
    for kind, request in requests.items():
        if options.only in (None, kind):
            with FileFixer(request) as fixer, tempfile.TemporaryDirectory() as folder:
                for path in _files(options.models):
                    ratios += _fix(fixer, path, kind, Path(folder, path.name))
    slower = sum(ratio < SLOWER for ratio in ratios)
    print(f"\n{len(ratios)} changed models that were right before and were timed: {slower} slower by more than 3%")


def _files(named: Iterable[Path]) -> Iterator[Path]:
    for path in named:
        yield from sorted(path.rglob("*.tflite")) if path.is_dir() else [path]


def _fix(fixer: FileFixer, path: Path, kind: str, target: Path) -> list[float]:
    """Prints a line; the measured ratio, if there is one that counts."""
    start = time.monotonic()
    try:
        done = fixer.fix(str(path), str(target))
    except XnnlintError as error:
        print(f"| {path.stem} | {kind} | | | | | {error} |", flush=True)
        return []
    cells = (path.stem, kind, *_cells(done, time.monotonic() - start))
    print(f"| {' | '.join(cells)} |", flush=True)
    return [done.measured.ratio.value] if done.measured is not None and done.before.plan.is_correct else []


def _cells(done: FileRepair, seconds: float) -> Iterator[str]:
    declined = done.declined
    version = done.after if declined is None else declined.version
    gain = done.result.gain if declined is None else declined.gain
    measured = done.measured if declined is None else declined.measured
    yield f"{len(done.before.spmm)} -> {len(version.spmm)} of {len(version.pointwise)}"
    yield "" if gain is None else f"{gain.ratio:.2f}"
    yield (
        ""
        if measured is None
        else f"{measured.ratio.value:.2f} ({measured.ratio.low:.2f} to {measured.ratio.high:.2f})"
    )
    yield f"{seconds:.0f}"
    kinds = Counter(change.fix for change in version.changes)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    yield f"not written: {listed}" if declined is not None else listed or "none"


if __name__ == "__main__":
    main()
