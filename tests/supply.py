"""What xnnlint is installed with: the oldest and the newest versions, clean builds, known weaknesses.

    python -m tests.supply lowest [--python python3.10]    the lower bounds of pyproject.toml, and a check with them
    python -m tests.supply newest [--python python3.13]    the newest versions that there are
    python -m tests.supply build [--keep FOLDER]           wheel and sdist, each installed and used on its own
    python -m tests.supply audit                           pip-audit over what an installation brings

Everything happens in environments of its own in a temporary folder. Exits 1 where something fails.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.models import FIXTURES, ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SPARSE, HALF = FIXTURES / "guide_sparse.tflite", FIXTURES / "guide_half.tflite"
KERAS = FIXTURES / "guide_sparse.keras"
# The file for which a check must find something is among them: a program that finds nothing would pass everything.
USES = ((("--version",), 0), (("check", SPARSE), 0), (("check", HALF), 1), (("check", KERAS), 0), (("rules",), 0))


def run(*command: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """The output of a command.

    Raises:
        SystemExit: it ended with another code.
    """
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    if done.returncode not in codes:
        sys.exit(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path, python: str) -> Path:
    """A new environment of some Python; gives its python."""
    if python:
        run(python, "-m", "venv", folder)
    else:
        venv.create(folder, with_pip=True)
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def install(python: Path, *what: str | Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def use(python: Path) -> None:
    """Everything that a user does first."""
    for arguments, code in USES:
        isolated = ("--isolated",) if arguments[0] == "check" else ()
        run(python, "-m", "xnnlint", *arguments, *isolated, codes=(code,))
    versions = run(python, "-m", "pip", "list", "--disable-pip-version-check", "--format", "freeze").split()
    print(run(python, "--version").strip(), *versions)


def lower_bounds() -> list[str]:
    """The dependencies of pyproject.toml at their lowest: "numpy==1.23"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # What is behind the first says for which Python.
    return [re.sub(r">=", "==", one, count=1) for one in project["dependencies"]]


def bounds(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        python = environment(Path(scratch, "env"), options.python)
        install(python, *(lower_bounds() if options.what == "lowest" else ["--upgrade"]), ROOT)
        use(python)


def build(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        builder = environment(Path(scratch, "builder"), options.python)
        install(builder, "build")
        # A copy: what an earlier build left in the work tree must not get into this one.
        tree = Path(scratch, "tree")
        left_out = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", ".venv")
        shutil.copytree(ROOT, tree, ignore=left_out)
        run(builder, "-m", "build", "--outdir", Path(scratch, "dist"), tree)
        made = sorted(Path(scratch, "dist").iterdir())
        if [file.suffix for file in made] != [".whl", ".gz"] and len(made) != 2:
            sys.exit(f"built were {made}")
        for number, file in enumerate(made):
            python = environment(Path(scratch, f"user{number}"), options.python)
            install(python, file)
            print(file.name)
            use(python)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in made:
                shutil.copy(file, options.keep)


def audit(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        python = environment(Path(scratch, "env"), options.python)
        install(python, ROOT)
        auditor = environment(Path(scratch, "auditor"), "")
        install(auditor, "pip-audit")
        versions = [line for line in run(python, "-m", "pip", "freeze", "--exclude", "xnnlint").splitlines() if line]
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text("\n".join(versions))
        # Strict: a package that the service does not know would count as one without weakness.
        print(run(auditor, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "-r", wanted))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lowest", "newest", "build", "audit"))
    parser.add_argument("--python", default="", help="the Python to use; by default this one")
    parser.add_argument("--keep", type=Path, help="where to put what was built")
    options = parser.parse_args()
    {"lowest": bounds, "newest": bounds, "build": build, "audit": audit}[options.what](options)
    print(f"{options.what}: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
