"""How long a page of 2,000 operators takes, by the clock: `python -m tests.reporters.page.speed`.

Chromium draws without a GPU here, which is the slowest that it does. The test of that page counts computing instead,
since a machine that does other things, too, is slower by the clock.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from tests.cli.program import spawn
from tests.reporters.page.browser import absent, chromium
from tests.reporters.page.models import write_large

OPERATORS, ROUNDS = 2000, 5


def main() -> int:
    if absent():
        print(f"not there: {', '.join(absent())}", file=sys.stderr)
        return 2
    clock, computing = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        model, page = write_large(Path(folder, "large.tflite"), OPERATORS), Path(folder, "page.html")
        for _ in range(ROUNDS):
            start, before = time.perf_counter(), _children()
            done = spawn("report", str(model), "-o", str(page))
            clock["written after"].append(time.perf_counter() - start)
            computing["written after"].append(_children() - before)
            assert done.returncode == 0, done.stderr
            browser.open(page)
            clock["first paint after"].append(browser.first_paint() / 1000)
            spent = browser.cpu_seconds()
            steps = browser.zoom_steps()
            clock["a step of zoom"] += [step / 1000 for step in steps]
            computing["a step of zoom"].append((browser.cpu_seconds() - spent) / len(steps))
        size = page.stat().st_size / 1e6
    busy = f"{os.getloadavg()[0]:.0f} processes on {os.cpu_count()} CPUs"
    print(f"a page of {OPERATORS:,} operators, {size:.1f} MB; median (worst) of {ROUNDS} rounds, {busy}")
    for what, times in clock.items():
        spent = f"; {median(computing[what]):.3f} s of computing" if what in computing else ""
        print(f"  {what:18} {median(times):6.3f} s ({max(times):.3f}) by the clock{spent}")
    return 0


def _children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
