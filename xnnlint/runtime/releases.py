"""LiteRT releases: the installed one, and others in a cache of their own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.cache.place import cache_folder
from xnnlint.errors import XnnlintError

INSTALL = "install it with: pip install 'xnnlint[verify]'"
DISTRIBUTION = "ai-edge-litert"
PACKAGE = "ai_edge_litert"
NIGHTLY, NIGHTLY_DISTRIBUTION = "nightly", "ai-edge-litert-nightly"
FIRST_WITH_C_API = (2, 1, 0)
"""The first release whose library opens a model file and lets it be profiled."""
FIRST_FOR_NUMPY_2 = (1, 1, 0)
_SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}


class ReleaseMissing(XnnlintError):
    """A LiteRT release that is not installed, or that could not be."""


class Release(Struct, frozen=True):
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


def find(version: str | None = None, *, machine: str | None = None, fetch: bool = True) -> Release:
    """The installed release where `version` is None or just that; otherwise the one in the cache, fetched with pip
    if it is not there yet: naming a version or a machine is the user's consent.

    Args:
        version: such as "2.1.2"; "nightly" for the newest nightly wheel, which is asked for each time.
        machine: "arm64" for the wheel that the emulated arm64 Python loads; None for this machine's.
        fetch: False to look only.

    Raises:
        ReleaseMissing: with what to install, or pip's complaint.
    """
    if version == NIGHTLY:
        return _nightly(_wheel(machine))
    here = installed()
    if version is None:
        if here is None:
            raise ReleaseMissing(f"LiteRT ({DISTRIBUTION}) is not installed; {INSTALL}")
        version = here.version
    if here is not None and here.version == version and machine is None:
        return here
    found = cached(version, machine)
    if found is None and not fetch:
        kind = f" for {machine}" if machine else ""
        raise ReleaseMissing(f"LiteRT {version}{kind} is not in the cache; ask for it by name to have it installed")
    return found or _fetch(version, _wheel(machine))


def numbered(version: str | None) -> str | None:
    """The number of a release that may be named "nightly", which is fetched to know it."""
    return find(version).version if version == NIGHTLY else version


class _Wheel(Struct, frozen=True):
    """Which wheel: the tag of its folder in the cache, and how pip is told to take it."""

    tag: str
    options: tuple[str, ...] = ()


def _wheel(machine: str | None) -> _Wheel:
    if machine is None:
        version = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return _Wheel(f"{version}-{sys.platform}-{platform.machine().lower()}")
    # pip takes several platforms; LiteRT's wheels were manylinux_2_17 first and manylinux_2_27 later.
    platforms = [word for glibc in ("2_17", "2_27") for word in ("--platform", f"manylinux_{glibc}_aarch64")]
    return _Wheel("cp311-linux-aarch64", (*platforms, "--python-version", "3.11", "--implementation", "cp"))


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


def cached(version: str, machine: str | None = None) -> Release | None:
    """The release of that version in the cache, for this Python or for that machine's."""
    package = _folder(version, _wheel(machine)) / PACKAGE
    return Release(version, package) if package.is_dir() else None


def _folder(version: str, wheel: _Wheel) -> Path:
    return cache_folder() / "litert" / f"{version}-{wheel.tag}"


def _fetch(version: str, wheel: _Wheel) -> Release:
    """Install a release into the cache: complete, or not at all."""
    if not re.fullmatch(r"[0-9A-Za-z.]+", version):
        raise ReleaseMissing(f"{version!r} is not a LiteRT version")
    wanted = [f"{DISTRIBUTION}=={version}"]
    if version_tuple(version) < FIRST_FOR_NUMPY_2:
        wanted.append("numpy<2")  # its extension module was compiled for numpy 1
    elif wheel.options and version_tuple(version) < FIRST_WITH_C_API:
        wanted.append("numpy")  # the emulated Python has none
    folder = _folder(version, wheel)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / "wheel"
        _install(_pip(Path(temporary)), target, wheel, wanted, f"LiteRT {version}")
        if not folder.exists():
            shutil.move(target, folder)
    return Release(version, folder / PACKAGE)


def _install(pip: list[str], target: Path, wheel: _Wheel, wanted: list[str], what: str) -> None:
    """Install wheels, and nothing that they depend on, into a folder.

    Raises:
        ReleaseMissing: with pip's complaint.
    """
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command += [*wheel.options, "--target", str(target), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise ReleaseMissing(f"{what} cannot be had for {wheel.tag}: {complaint}")


def _pip(scratch: Path) -> list[str]:
    """How to call pip: that of this environment, or, where it has none (uv makes such), that which Python brings.

    Raises:
        ReleaseMissing: there is none at all.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    place = scratch / "pip"
    command = [sys.executable, "-m", "venv", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseMissing("pip is not installed in this environment, and Python brings none: install pip")
    return [str(place / ("Scripts" if sys.platform == "win32" else "bin") / "python"), "-m", "pip"]


def _nightly(wheel: _Wheel) -> Release:
    """The newest nightly wheel, under the version that it has; the cache keeps each.

    Raises:
        ReleaseMissing: there is none for this Python, or pip cannot get it.
    """
    parent = _folder(NIGHTLY, wheel).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        target = Path(temporary) / "wheel"
        options = replace(wheel, options=(*wheel.options, "--pre"))
        _install(_pip(Path(temporary)), target, options, [NIGHTLY_DISTRIBUTION], "a nightly LiteRT")
        found = next(iter(importlib.metadata.distributions(path=[str(target)], name=NIGHTLY_DISTRIBUTION)), None)
        version = found.version if found is not None else ""
        if not re.fullmatch(r"[0-9A-Za-z.]+", version):
            raise ReleaseMissing(f"{NIGHTLY_DISTRIBUTION} was installed without a version")
        folder = _folder(version, wheel)
        if not folder.exists():
            shutil.move(target, folder)
    return Release(version, folder / PACKAGE)
