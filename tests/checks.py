"""All checks of the work tree, one after the other: `python -m tests.checks`.

Some of them by name: `python -m tests.checks lint types`. What stands behind `tests` goes to pytest:
`python -m tests.checks tests -n 2 -k baseline`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import takewhile

from tests.models import ROOT

# import-linter has no module that python -m runs.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
CHECKS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "imports": ["-c", LINT_IMPORTS],
    "tests": ["-m", "pytest"],
}


def main(arguments: list[str]) -> int:
    """Runs the checks that are named, or all of them; the exit code is that of the first that fails."""
    names = list(takewhile(CHECKS.__contains__, arguments))
    more = arguments[len(names) :]
    if more and names[-1:] != ["tests"]:
        print(f"no check {more[0]!r}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    for name in names or CHECKS:
        start = time.monotonic()
        code = subprocess.run([sys.executable, *CHECKS[name], *(more if name == "tests" else [])], cwd=ROOT).returncode
        verdict = f"failed with exit code {code}" if code else "passed"
        print(f"== {name} {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
