"""A second `xnnlint check` over models that did not change, against the first.

    python benchmarks/again.py [--models 2000]

Makes that many small models of their own content in a temporary folder and checks them twice, with a cache of its own.
Exits 1 where the second run is not ten times as fast as the first, or does not print the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FACTOR = 10
SAMPLE = Path(__file__).parent.parent / "fixtures" / "guide_half.tflite"


def timed(folder: str, cache: str) -> tuple[float, bytes]:
    """Seconds of one run, and what it printed."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "XNNLINT_NO_CACHE", "XNNLINT_DEBUG")
    environment = {k: v for k, v in os.environ.items() if k not in left_out} | {"XNNLINT_CACHE_DIR": cache}
    start = time.perf_counter()
    command = [sys.executable, "-m", "xnnlint", "check", folder]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 1:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return seconds, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=2000)
    count = parser.parse_args().models
    with tempfile.TemporaryDirectory(prefix="xnnlint-") as place:
        models = Path(place, "models")
        models.mkdir()
        data = SAMPLE.read_bytes()
        for number in range(count):
            # What is behind the end of a FlatBuffer belongs to no table of it.
            (models / f"{number:05}.tflite").write_bytes(data + number.to_bytes(8, "little"))
        first, shown = timed(str(models), f"{place}/cache")
        second, again = timed(str(models), f"{place}/cache")
    print(f"{count} models of {len(data)} bytes: first {first:.2f} s, again {second:.2f} s, {first / second:.1f} times")
    print(f"  printed {'the same' if shown == again else 'something else'}; at least {FACTOR} times as fast is asked")
    return 0 if first >= FACTOR * second and shown == again else 1


if __name__ == "__main__":
    sys.exit(main())
