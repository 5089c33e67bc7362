"""Damages good files by the thousand, and lets xnnlint read each.

    python -m tests.fuzz [--files 5000] [--seed 1] [--minutes 0] [--jobs 1] [--keep FOLDER] [--corpus FOLDER]

Whatever file it is, xnnlint has to give a verdict or one clear sentence, within 10 seconds and 500 MB. Exits 1 where it
fails itself, dies, or takes more. `--keep` stores those files; `--corpus` stores every file that is made. With
`--minutes` it goes on with the next seeds for so long: that is for nights.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.run import Totals, run


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    totals, until, seed = Totals(), time.monotonic() + 60 * options.minutes, options.seed
    while True:
        run(totals, options.files, seed, options.jobs, options.keep, options.corpus)
        print(f"seed {seed}: {totals}", flush=True)
        seed += 1
        if time.monotonic() >= until:
            return 1 if totals.is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
