"""What an answer was made of: this program, with whatever is installed beside it, and the files of a model."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from xnnlint.cache.digests import new_digest
from xnnlint.version import __version__

_STEP = 1 << 20
_MOST_FILES = 1000
"""Of a model that is a folder; one with more is not kept."""
_RECORDS = (".dist-info", ".egg-info")
Stamp = tuple[int, int, int, int]


@cache
def program() -> str:
    """A digest that changes with the version of xnnlint, with any of its files, with Python, and with the packages
    that are installed: what they are, and what they announce (plug-ins among them)."""
    digest = new_digest()
    for part in _parts():
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _parts() -> Iterator[str]:
    yield from (__version__, sys.version, sys.platform)
    package = Path(__file__).parent.parent
    yield from _sources(str(package))
    # In a work tree the rules are beside the package, and not yet below it.
    if not (package / "rules").exists():
        yield from _sources(str(package.parent / "rules"))
    for place in sys.path:
        yield from _installed(place or ".")


def _sources(folder: str) -> Iterator[str]:
    """Name, time and size of each file of a package."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _sources(entry.path)
            else:
                found = entry.stat()
                yield f"{entry.path} {found.st_mtime_ns} {found.st_size}"


def _installed(place: str) -> Iterator[str]:
    """What a place of `sys.path` holds, as `linter.plugins` looks at it."""
    try:
        with os.scandir(place) as entries:
            records = sorted(entry.path for entry in entries if entry.name.endswith(_RECORDS))
    except NotADirectoryError:
        # An archive.
        yield f"{place} {_stamp(place)}"
        return
    except OSError:
        return
    for record in [*records, f"{place}/EGG-INFO"]:
        yield f"{record} {_stamp(f'{record}/entry_points.txt')}"


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (for each package)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def stamps(path: str) -> list[tuple[str, Stamp]] | None:
    """The files of a model, each with what changes when it is written; None where it cannot be said what they are.

    Of a folder all its files, and of an architecture in JSON those beside it, which have its weights.
    """
    try:
        files = _files(path)
        return None if files is None else [(file, _file_stamp(file)) for file in files]
    except OSError:
        return None


def content(files: Iterable[tuple[str, Stamp]], root: str) -> str | None:
    """A digest of what files hold, and of their names below a folder; None where one cannot be read."""
    digest = new_digest()
    try:
        for path, _ in files:
            own = new_digest()
            with open(path, "rb") as file:  # noqa: PTH123 (for each model)
                while piece := file.read(_STEP):
                    own.update(piece)
            digest.update(os.path.relpath(path, root).encode("utf-8", "surrogatepass") + b"\0" + own.digest())
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def _files(path: str) -> list[str] | None:
    is_folder = os.path.isdir(path)  # noqa: PTH112
    if not is_folder and not path.lower().endswith(".json"):
        return [path]
    folder = path if is_folder else os.path.dirname(path) or "."  # noqa: PTH120
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        # A link to a folder may lead to files that are not looked at here.
        if any(os.path.islink(os.path.join(place, name)) for name in folders):  # noqa: PTH114, PTH118
            return None
        found += [os.path.join(place, name) for name in names]  # noqa: PTH118
        if len(found) > _MOST_FILES:
            return None
    return sorted(found)


def _file_stamp(path: str) -> Stamp:
    found = os.stat(path)  # noqa: PTH116 (for each model)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no file")
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
