"""Cold start of `xnnlint check`: time against importing what it cannot do without, memory against the file's size.

    python benchmarks/startup.py MODEL.tflite [--runs 15]

Both commands run in fresh processes, in turn, so that whatever else the machine does meets both. Exits 1 where the
median time is over 2.25 times the imports' or the peak memory is over the file's size plus 150 MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

IMPORTS = "import numpy, typer"
TIME_LIMIT = 2.25
MEMORY_ALLOWANCE = 150e6  # bytes beyond the file


def run(command: list[str]) -> tuple[float, float, int]:
    """Wall-clock seconds, processor seconds and peak resident bytes of one process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    errors = child.stderr.read() if child.stderr else b""
    # wait4 gives this very child's peak; RUSAGE_CHILDREN would give the greatest of all so far.
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} exited with {child.returncode}: {errors.decode(errors='replace').strip()}")
    in_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, usage.ru_utime + usage.ru_stime, in_bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()

    commands = {
        "imports": [sys.executable, "-c", IMPORTS],
        "check": [sys.executable, "-m", "xnnlint", "check", str(options.model)],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    work: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, list[int]] = {name: [] for name in commands}
    for turn in range(options.runs + 1):
        for name, command in commands.items():
            seconds, processor, peak = run(command)
            if turn:  # the first turn compiles the modules and warms the page cache
                times[name].append(seconds)
                work[name].append(processor)
                peaks[name].append(peak)

    size = options.model.stat().st_size
    medians = {name: statistics.median(values) for name, values in times.items()}
    time_ratio = medians["check"] / medians["imports"]
    work_ratio = statistics.median(work["check"]) / statistics.median(work["imports"])
    memory_limit = size + MEMORY_ALLOWANCE
    memory_ratio = max(peaks["check"]) / memory_limit
    print(f"{options.model.name}: {size / 1e6:.1f} MB, median of {options.runs} runs of each, in turn")
    for name, values in times.items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"  {name:8} {medians[name]:.3f} s ({spread}), peak {max(peaks[name]) / 1e6:.0f} MB")
    print(f"  time     {time_ratio:.2f} times the imports (limit {TIME_LIMIT}); processor time {work_ratio:.2f} times")
    print(f"  memory   {memory_ratio:.2f} of the file's size plus 150 MB (limit 1)")
    return 0 if time_ratio <= TIME_LIMIT and memory_ratio <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
