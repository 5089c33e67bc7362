"""`python -m tests.difftest nightly`: what the newest nightly LiteRT does otherwise than the newest profile says.

python -m tests.difftest nightly                  all hand-made patterns and MediaPipe's models
python -m tests.difftest nightly --no-models      the patterns only

A disagreement is news of the next release: a fact of a profile to come, with its source to be read up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests import models
from tests.difftest import __main__ as hunt
from xnnlint.errors import XnnlintError
from xnnlint.runtime.releases import NIGHTLY, find
from xnnlint.xnnpack.profile import DEFAULT_RUNTIME


def main(arguments: list[str]) -> int:
    """Exit code 0: it agrees; 1: it differs; 2: it could not be had or run."""
    parser = argparse.ArgumentParser(prog="python -m tests.difftest nightly", description=__doc__)
    parser.add_argument("--no-models", action="store_true", help="the hand-made patterns only")
    parser.add_argument("--out", type=Path, default=Path("nightly-out"), metavar="FOLDER", help="progress and findings")
    options = parser.parse_args(arguments)
    try:
        version = find(NIGHTLY).version
    except XnnlintError as error:
        print(f"tests.difftest nightly: {error}", file=sys.stderr)
        return hunt.TROUBLE
    runs = {"patterns": ["--patterns"]}
    if not options.no_models:
        try:
            runs["production models"] = ["--files", str(models.mediapipe_models())]
        except models.Unavailable as why:
            print(f"without production models: {why}", file=sys.stderr)
    worst = hunt.AGREE
    for name, what in runs.items():
        print(f"LiteRT {version} against {DEFAULT_RUNTIME}: {name}", flush=True)
        given = ["--litert-version", version, "--runtime", DEFAULT_RUNTIME, "--out", str(options.out / name.split()[0])]
        worst = max(worst, hunt.main([*what, *given]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
