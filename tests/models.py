"""Where the tests find files: the work tree, committed fixtures, the mediapipe wheel from PyPI, the Keras-made set."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
DATA = ROOT / "tests" / "data"

MEDIAPIPE = "mediapipe==0.10.14"
# Any platform's wheel holds the same models; one is named, so that every machine tests the same bytes.
MEDIAPIPE_WHEEL = ["--python-version=3.11", "--abi=cp311", "--platform=manylinux_2_17_x86_64", "--only-binary=:all:"]
MEDIAPIPE_SHA256 = "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4"
MEDIAPIPE_MODULES = "mediapipe/modules/"


class Unavailable(Exception):
    """Model files that cannot be had here; the message is one line that says why."""


def cache_folder() -> Path:
    """Where downloads are kept: `XNNLINT_TEST_CACHE`, or `xnnlint-tests` in the user's cache folder."""
    if chosen := os.environ.get("XNNLINT_TEST_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xnnlint-tests"


def committed() -> list[Path]:
    """All committed .tflite files."""
    return sorted(FIXTURES.rglob("*.tflite"))


def mediapipe_models() -> Path:
    """The folder `mediapipe/modules` of the wheel, holding its .tflite files only, read-only.

    The wheel is downloaded once with pip and its models are extracted into the cache folder.

    Raises:
        Unavailable: pip cannot get the wheel, or got another one.
    """
    extracted = cache_folder() / f"mediapipe-{MEDIAPIPE_SHA256[:12]}"
    if not extracted.is_dir():
        extracted.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=extracted.parent) as scratch:
            models = Path(scratch, "models")
            _extract_models(_download_wheel(Path(scratch)), models)
            try:
                # Renaming is atomic: test processes side by side see all files or none.
                models.rename(extracted)
            except OSError:
                if not extracted.is_dir():
                    raise
    return extracted / MEDIAPIPE_MODULES


def _download_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [*MEDIAPIPE_WHEEL, "--dest", str(folder), MEDIAPIPE]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no wheel came"]
        raise Unavailable(f"pip cannot download {MEDIAPIPE}: {lines[0]}")
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if digest != MEDIAPIPE_SHA256:
        raise Unavailable(f"{wheels[0].name} is not the expected wheel: its SHA-256 is {digest}")
    return wheels[0]


def _extract_models(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(MEDIAPIPE_MODULES) and name.endswith(".tflite"):
                Path(archive.extract(name, target)).chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)


def keras_models() -> Path:
    """The folder that `fixtures/make_keras_set.py` wrote, named by the variable `XNNLINT_KERAS_SET`.

    Raises:
        Unavailable: the variable is not set, or its folder holds no manifest.
    """
    named = os.environ.get("XNNLINT_KERAS_SET")
    if not named:
        raise Unavailable("XNNLINT_KERAS_SET does not name a folder made by fixtures/make_keras_set.py")
    if not (Path(named) / "manifest.json").is_file():
        raise Unavailable(f"{named} (XNNLINT_KERAS_SET) has no manifest.json")
    return Path(named)


def keras_manifest(folder: Path) -> list[dict]:
    """The entries of a Keras-made set, as `fixtures/make_keras_set.py` wrote them."""
    return json.loads((folder / "manifest.json").read_text())
