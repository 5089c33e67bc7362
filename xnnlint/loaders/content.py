"""Which content a model was checked with: its size and its SHA-256, so that nobody checks the same twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_STEP = 1 << 20


class Content(NamedTuple):
    """Bytes of a model, and the SHA-256 of them in hexadecimal digits.

    `version` is what the server called that version of it, of a model at an address.
    """

    bytes: int
    sha256: str
    version: str | None = None


def content_of(path: str) -> Content | None:
    """The content of a file, or of all files of a folder: their names from there, sizes and bytes, in order of names.

    Returns:
        None of what is neither, or cannot be read: the loader says why.
    """
    try:
        place = Path(path)
        if place.is_file():
            digest = hashlib.sha256()
            return Content(_add(place, digest), digest.hexdigest())
        if place.is_dir():
            return _of_folder(place)
    except (OSError, ValueError):
        pass
    return None


def _of_folder(folder: Path) -> Content:
    digest, total = hashlib.sha256(), 0
    for place in sorted(_files(folder)):
        own = hashlib.sha256()
        size = _add(place, own)
        name = place.relative_to(folder).as_posix()
        # The NUL, which no name has, keeps one name and content from being another's.
        digest.update(f"{name}\0{size}\0{own.hexdigest()}\n".encode(errors="surrogateescape"))
        total += size
    return Content(total, digest.hexdigest())


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (place for name in names if (place := Path(parent, name)).is_file())


def _add(place: Path, digest: hashlib._Hash) -> int:
    size = 0
    with place.open("rb", buffering=0) as file:
        while piece := file.read(_STEP):
            digest.update(piece)
            size += len(piece)
    return size
