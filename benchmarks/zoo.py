"""Time and memory of `xnnlint check` over many small models, each with weights of its own.

    python benchmarks/zoo.py [--models 200 2000] [--jobs 1 2] [--format jsonl]

For each number of models and of processes: seconds, files a second, and the peak of memory of the process that was
started and of the largest of its own. The models are made first, in a temporary folder or in --folder, where they stay
for the next time. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.building_blocks import pruned, tail, trunk
from xnnlint.modelbuilder.modelfile import Value

A_FOLDER = 1000
# Runs `python -m xnnlint`, and says what it took. ru_maxrss of a process begins with what its parent had, so this one
# stays small, and the peak of the program is read from the kernel by itself.
CHILD = """
import json, re, resource, sys, time
from pathlib import Path
sys.argv = ["xnnlint", *sys.argv[2:]]
from xnnlint.cli import app
start = time.monotonic()
try:
    app.main()
except SystemExit as end:
    code = end.code
seconds = time.monotonic() - start
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([seconds, peak, children, code]), file=sys.stderr)
"""


def sparse(g: ModelBuilder, x: Value) -> None:
    tail(g, pruned(g, x, 24))


def not_pruned(g: ModelBuilder, x: Value) -> None:
    tail(g, g.conv2d(x, 24, fused="RELU", name="dense"))


def stored_dense(g: ModelBuilder, x: Value) -> None:
    tail(g, pruned(g, pruned(g, x, 24, storage="dense"), 24, storage="dense"))


def cut(g: ModelBuilder, x: Value) -> None:
    """An operator between two pruned convolutions for which there is no NCHW kernel."""
    tail(g, pruned(g, g.unary("TANH", pruned(g, x, 24)), 16))


def without_keepdims(g: ModelBuilder, x: Value) -> None:
    g.output(g.fully_connected(g.mean(pruned(g, x, 24), (1, 2), keep_dims=False), 5))


KINDS: tuple[Callable[[ModelBuilder, Value], None], ...] = (sparse, not_pruned, stored_dense, cut, without_keepdims)


def make(folder: Path, count: int) -> None:
    """Models `0` to `count - 1` below a folder, a thousand in each of its own; those that are there stay."""
    for number in range(count):
        path = folder / f"team{number // A_FOLDER:03}" / f"model{number:06}.tflite"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        g = ModelBuilder(seed=number)
        KINDS[number % len(KINDS)](g, trunk(g))
        path.write_bytes(g.build())


def run(folder: Path, count: int, jobs: int, form: str) -> tuple[float, float, float]:
    """Seconds, and megabytes of the program and of its largest process."""
    listed = folder / "xnnlint.toml"
    # A command line has no room for 20,000 names, and a folder may hold more models than are wanted.
    paths = sorted(str(path.relative_to(folder)) for path in folder.glob("team*/*.tflite"))[:count]
    listed.write_text(f"models = {json.dumps(paths)}\n" if len(paths) < 30_000 else "")
    given = [] if len(paths) < 30_000 else ["."]
    arguments = [
        "check",
        "--no-cache",
        *given,
        "--jobs",
        str(jobs),
        "--format",
        form,
        "-o",
        "result",
        "--fail-on",
        "never",
    ]
    called = [sys.executable, "-c", CHILD, "", *arguments]
    done = subprocess.run(called, cwd=folder, capture_output=True, text=True, check=False)
    try:
        seconds, peak, children, code = json.loads(done.stderr.splitlines()[-1])
    except (ValueError, IndexError):
        sys.exit(done.stderr)
    if code:
        sys.exit(f"exit code {code}: {done.stderr[:2000]}")
    return seconds, peak / 1e6, children / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--format", default="jsonl")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xnnlint-zoo-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        start = time.monotonic()
        make(folder, max(options.models))
        print(f"made in {time.monotonic() - start:.0f} s", file=sys.stderr)
        print("| models | processes | s | files/s | MB of the program | MB of its largest process |")
        print("| --- | --- | --- | --- | --- | --- |")
        for count in options.models:
            for jobs in options.jobs:
                seconds, peak, children = run(folder, count, jobs, options.format)
                row = f"| {count:,} | {jobs} | {seconds:.1f} | {count / seconds:.0f} | {peak:.0f} | {children:.0f} |"
                print(row, flush=True)


if __name__ == "__main__":
    main()
