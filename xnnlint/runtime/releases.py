"""LiteRT releases: the installed one, and others in a cache of their own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from xnnlint.errors import XnnlintError

INSTALL = "install it with: pip install 'xnnlint[verify]'"
DISTRIBUTION = "ai-edge-litert"
PACKAGE = "ai_edge_litert"
FIRST_WITH_C_API = (2, 1, 0)
"""The first release whose library opens a model file and lets it be profiled."""
FIRST_FOR_NUMPY_2 = (1, 1, 0)
_SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}


class ReleaseMissing(XnnlintError):
    """A LiteRT release that is not installed, or that could not be."""


@dataclass(frozen=True)
class Release:
    """A LiteRT wheel on disk.

    Attributes:
        version: such as "2.3.0".
        package: the folder of the Python package, which also holds the C library.
    """

    version: str
    package: Path

    @property
    def library(self) -> Path | None:
        """The library with LiteRT's C API; None where this wheel has none that can profile."""
        if version_tuple(self.version) < FIRST_WITH_C_API:
            return None
        library = self.package / f"libLiteRt{_SUFFIXES.get(sys.platform, '.so')}"
        return library if library.is_file() else None


def version_tuple(version: str) -> tuple[int, ...]:
    """The numeric part: "2.1.0rc1" is (2, 1, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def find(version: str | None = None) -> Release:
    """The installed release where `version` is None or just that; otherwise the one in the cache, fetched with pip
    if it is not there yet: naming a version is the user's consent.

    Raises:
        ReleaseMissing: with what to install, or pip's complaint.
    """
    here = installed()
    if version is None:
        if here is None:
            raise ReleaseMissing(f"LiteRT ({DISTRIBUTION}) is not installed; {INSTALL}")
        return here
    if here is not None and here.version == version:
        return here
    return cached(version) or _fetch(version)


def installed() -> Release | None:
    """The release in this Python environment, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Release(version, Path(spec.origin).parent)


def cached(version: str) -> Release | None:
    """The release of that version in the cache, for this Python."""
    package = _folder(version) / PACKAGE
    return Release(version, package) if package.is_dir() else None


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/xnnlint, or the place where this platform keeps caches."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "xnnlint"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "xnnlint"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "xnnlint"
    return Path.home() / ".cache" / "xnnlint"


def _folder(version: str) -> Path:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-{sys.platform}-{platform.machine().lower()}"
    return cache_folder() / "litert" / f"{version}-{tag}"


def _fetch(version: str) -> Release:
    """Install a release into the cache: complete, or not at all."""
    if not re.fullmatch(r"[0-9A-Za-z.]+", version):
        raise ReleaseMissing(f"{version!r} is not a LiteRT version")
    wanted = [f"{DISTRIBUTION}=={version}"]
    if version_tuple(version) < FIRST_FOR_NUMPY_2:
        wanted.append("numpy<2")  # its extension module was compiled for numpy 1
    folder = _folder(version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / "wheel"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--only-binary", ":all:", "--target", str(target), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            complaint = (done.stderr.strip() or "pip failed").splitlines()[-1]
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise ReleaseMissing(f"LiteRT {version} cannot be had for Python {python} here: {complaint}")
        if not folder.exists():
            shutil.move(target, folder)
    return Release(version, folder / PACKAGE)
