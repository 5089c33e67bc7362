"""Start of `xnnlint check`, cold and remembered: time against importing its libraries, memory against the file's size.

    python benchmarks/startup.py MODEL.tflite [--runs 15]

All commands run in fresh processes, in turn, so that whatever else the machine does meets all of them. "check" reads
and plans the model; "again" has the cache's answer for a model that did not change. Exits 1 where the median time of a
check is over 0.75 times that of importing numpy, networkx, tflite and typer, that of an answer from the cache over 1.5
times `python -c pass` plus 60 ms, or the peak memory over the file's size plus 150 MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = "import numpy, networkx, tflite, typer"
TIME_LIMIT = 0.75  # of the imports' time
AGAIN_LIMIT, AGAIN_ALLOWANCE = 1.5, 0.060  # times of `pass`, and seconds beyond
MEMORY_ALLOWANCE = 150e6  # bytes beyond the file


def run(command: list[str], cache: str) -> tuple[float, float, int]:
    """Wall-clock seconds, processor seconds and peak resident bytes of one process."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "XNNLINT_NO_CACHE", "XNNLINT_DEBUG")
    environment = {k: v for k, v in os.environ.items() if k not in left_out} | {"XNNLINT_CACHE_DIR": cache}
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

    check = [sys.executable, "-m", "xnnlint", "check", str(options.model)]
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "imports": [sys.executable, "-c", IMPORTS],
        "check": [*check, "--no-cache"],
        "again": check,
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    work: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, list[int]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as cache:
        for turn in range(options.runs + 1):
            for name, command in commands.items():
                seconds, processor, peak = run(command, cache)
                if turn:  # the first turn compiles the modules, warms the page cache, and fills that of xnnlint
                    times[name].append(seconds)
                    work[name].append(processor)
                    peaks[name].append(peak)

    size = options.model.stat().st_size
    medians = {name: statistics.median(values) for name, values in times.items()}
    used = {name: statistics.median(values) for name, values in work.items()}
    time_ratio = medians["check"] / medians["imports"]
    again_limit = AGAIN_LIMIT * medians["pass"] + AGAIN_ALLOWANCE
    memory_ratio = max(peaks["check"]) / (size + MEMORY_ALLOWANCE)
    print(f"{options.model.name}: {size / 1e6:.1f} MB, median of {options.runs} runs of each, in turn")
    for name, values in times.items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"  {name:8} {medians[name]:.3f} s ({spread}), peak {max(peaks[name]) / 1e6:.0f} MB")
    work_ratio = used["check"] / used["imports"]
    print(f"  check    {time_ratio:.2f} times the imports (limit {TIME_LIMIT}); processor time {work_ratio:.2f} times")
    print(f"  again    {medians['again']:.3f} s of {again_limit:.3f} s, which is {AGAIN_LIMIT} times pass and 60 ms")
    print(f"  memory   {memory_ratio:.2f} of the file's size plus 150 MB (limit 1)")
    return 0 if time_ratio <= TIME_LIMIT and medians["again"] <= again_limit and memory_ratio <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
