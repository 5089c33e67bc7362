"""Ends `xnnlint fix --in-place` at random moments, and lets two work on one file at once.

    python -m tests.kills [--kills 500] [--pairs 200] [--seed 1]

Every time the file as it was must be there: as itself, or as a backup; the file must be the original or the fixed one,
and nothing may be left that a search for models finds. Runs are forks of this process, where everything is imported
already, so that they are in the middle of their work when they are ended. Exits 1 where anything was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from xnnlint.cli.app import main as program
from xnnlint.cli.console import TROUBLE
from xnnlint.loaders import find_models
from xnnlint.modelbuilder.builder import ModelBuilder

_MOST_WORDS = 200
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL)


@dataclass
class Totals:
    """What came of all runs."""

    runs: int = 0
    kept: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def model() -> bytes:
    """A small file that a safe fix makes sparse."""
    g = ModelBuilder()
    x = g.conv2d(g.pad(g.input((1, 16, 16, 3))), 8, 3, 2, fused="RELU")
    x = g.conv2d(x, 8, zeros=0.8, storage="sparse", fused="RELU")
    x = g.binary("MUL", x, g.constant(0.5))
    g.output(g.mean(g.conv2d(x, 8, zeros=0.8, storage="sparse"), (1, 2)))
    return g.build()


def started(path: Path) -> int:
    """The process id of a fix of a file, a fork of this process."""
    child = os.fork()
    if child:
        return child
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    # nohup, and a shell's `&`, have these ignored, so that they would end nothing.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["xnnlint", "fix", "--isolated", "--in-place", "--no-proof", str(path)]
    code = TROUBLE
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else TROUBLE
    except BaseException as error:  # what no user must see: it is looked at, not let through
        os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def said(path: Path) -> Path:
    """Where a fix of a file writes what goes wrong: beside the folder that is looked at."""
    return path.parent.with_suffix(".stderr")


def waited(child: int, path: Path) -> str:
    """How a process ended, and what it said, where that was an error."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        return signal.Signals(-code).name
    words = " ".join(said(path).read_text(errors="replace").replace(str(path), path.name).split())
    return f"exit {code} ({words[-_MOST_WORDS:]})" if code == TROUBLE else f"exit {code}"


def judge(totals: Totals, folder: Path, path: Path, original: bytes, fixed: bytes, what: str) -> None:
    """Counts whether nothing was lost, and nothing left behind."""
    totals.runs += 1
    contents = [file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")]
    if original in contents and path.read_bytes() in (original, fixed):
        totals.kept += 1
    else:
        totals.lost.append(what)
    if found := [name for name in find_models([folder]) if name != str(path)]:
        totals.left.append(f"{what}: {', '.join(found)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, original, totals = random.Random(options.seed), model(), Totals()
    with tempfile.TemporaryDirectory() as scratch:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            fixed, usual = reference(Path(folder), original)
        for number in range(options.kills):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                kill(totals, Path(folder), original, fixed, rng.uniform(0, 1.1 * usual), SIGNALS[number % 4])
            progress(totals)
        for number in range(options.pairs):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                pair(totals, Path(folder), original, fixed, rng.uniform(0, 0.3 * usual), number)
            progress(totals)
    ended = ", ".join(f"{count} {how}" for how, count in sorted(totals.ended.items()))
    print(f"{totals.runs} runs ({options.kills} kills, {options.pairs} pairs): original kept {totals.kept}; {ended}")
    print(f"lost: {totals.lost or 'none'}; left behind for a search to find: {totals.left or 'nothing'}")
    return 1 if totals.lost or totals.left else 0


def progress(totals: Totals) -> None:
    """Says how far it is, on stderr, every ten runs: all of them take a while."""
    if totals.runs % 10 == 0:
        print(f"{totals.runs} runs, original kept {totals.kept}, left {len(totals.left)}", file=sys.stderr, flush=True)


def reference(folder: Path, original: bytes) -> tuple[bytes, float]:
    """The fixed file, and how long a fix takes that nobody ends."""
    import xnnlint.cli.session
    import xnnlint.fixes.tflite.file_fixer  # noqa: F401

    seconds = 1e9
    for _ in range(3):
        path = folder / "reference.tflite"
        path.write_bytes(original)
        start = time.perf_counter()
        how = waited(started(path), path)
        seconds = min(seconds, time.perf_counter() - start)
    fixed = path.read_bytes()
    if fixed == original:
        sys.exit(f"the fix changes nothing ({how}), so that nothing can be lost")
    return fixed, seconds


def kill(totals: Totals, folder: Path, original: bytes, fixed: bytes, after: float, number: signal.Signals) -> None:
    """One fix that is ended after some seconds, and the next one, which finishes the work."""
    path = folder / "model.tflite"
    path.write_bytes(original)
    child = started(path)
    time.sleep(after)
    os.kill(child, number)
    totals.ended[waited(child, path)] += 1
    judge(totals, folder, path, original, fixed, f"{number.name} after {after:.3f} s")
    if path.read_bytes() == original:
        waited(started(path), path)
        if drafts := [file.name for file in folder.iterdir() if file.name.startswith(".")]:
            totals.left.append(f"{number.name} after {after:.3f} s: {', '.join(drafts)} stays")


def pair(totals: Totals, folder: Path, original: bytes, fixed: bytes, apart: float, number: int) -> None:
    """Two fixes of one file at once."""
    path = folder / "model.tflite"
    path.write_bytes(original)
    first = started(path)
    time.sleep(apart)
    second = started(path)
    totals.ended[" and ".join(sorted((waited(first, path), waited(second, path))))] += 1
    judge(totals, folder, path, original, fixed, f"pair {number}, {apart:.3f} s apart")


if __name__ == "__main__":
    sys.exit(main())
