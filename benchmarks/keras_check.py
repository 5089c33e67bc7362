"""Cold start of `xnnlint check` on Keras files: wall time, and whether anything of TensorFlow was imported.

    python benchmarks/keras_check.py MODEL.keras|MODEL.h5... [--runs 7] [--limit 1.5]

Each run is a fresh process; the first of each file, which compiles modules and warms the page cache, is left out. Exits
1 where a median is over the limit, or TensorFlow or Keras was imported. The networks of the set that
fixtures/make_keras_set.py writes are meant (sources/mobilenet_v2.keras and .h5).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

LIMIT = 1.5  # seconds
HEAVY = ("tensorflow", "keras", "tf_keras", "h5py", "jax", "torch")


def seconds(model: Path) -> tuple[float, float]:
    """Wall-clock and processor seconds of one process, from its start to its end."""
    command = [sys.executable, "-m", "xnnlint", "check", "--no-cache", str(model)]
    before = os.times()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if run.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} exited with {run.returncode}: {run.stderr.strip()}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return after.elapsed - before.elapsed, processor


def imported(model: Path) -> list[str]:
    """What heavy packages a check imports."""
    code = (
        "import sys\nfrom xnnlint.cli.app import main\nsys.argv = ['xnnlint', 'check', sys.argv[1]]\n"
        f"try:\n    main()\nfinally:\n    print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=False)
    return run.stderr.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS")
    options = parser.parse_args()
    failed = False
    for model in options.models:
        runs = [seconds(model) for _ in range(options.runs + 1)][1:]
        times, work = [wall for wall, _ in runs], statistics.median(processor for _, processor in runs)
        heavy = imported(model)
        median = statistics.median(times)
        failed |= median > options.limit or bool(heavy)
        print(
            f"{model.name}: {model.stat().st_size / 1e6:.1f} MB, median {median:.2f} s, fastest {min(times):.2f} s,"
            f" slowest {max(times):.2f} s of {options.runs} (limit {options.limit:g} s),"
            f" processor time {work:.2f} s;"
            f" imported of {', '.join(HEAVY)}: {', '.join(heavy) or 'none'}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
