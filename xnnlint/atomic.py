"""Files are written as a whole or not at all: first beside the target, onto the disk, then moved into place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from xnnlint.errors import XnnlintError


@contextlib.contextmanager
def draft(target: str | os.PathLike[str]) -> Iterator[str]:
    """The name of an empty file to write to first, with the target's suffix and in its folder; gone at the end.

    Raises:
        XnnlintError: nothing can be written there, or the target is something else than a file.
    """
    place = _place(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{place.stem}-", suffix=place.suffix, dir=place.parent)
    except OSError as error:
        raise XnnlintError(f"{os.fspath(target)}: cannot be written ({error.strerror})") from None
    os.close(handle)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def commit(drafted: str, target: str | os.PathLike[str], backup: str | os.PathLike[str] = "") -> None:
    """Moves a finished draft into place in one step.

    Args:
        drafted: the name that `draft` gave.
        target: what is there is replaced, and its permissions stay; where it is a link, the file that it leads to is.
        backup: where to keep a copy of what was there, or "".

    Raises:
        OSError: it cannot be written; then the target is as it was.
    """
    place = _place(target)
    if backup:
        # A hard link would share later changes; the copy is complete before anything is replaced.
        with draft(backup) as copied:
            shutil.copyfile(place, copied)
            shutil.copymode(place, copied)
            _to_disk(Path(copied))
            Path(copied).replace(_place(backup))
    with contextlib.suppress(OSError):
        # mkstemp makes files that only their owner may read.
        Path(drafted).chmod(place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask())
    _to_disk(Path(drafted))
    Path(drafted).replace(place)


def write(data: bytes, target: str | os.PathLike[str], backup: str | os.PathLike[str] = "") -> None:
    """Writes a file as a whole or not at all.

    Raises:
        XnnlintError: it cannot be written; then the target is as it was.
    """
    with draft(target) as drafted:
        try:
            Path(drafted).write_bytes(data)
            commit(drafted, target, backup)
        except OSError as error:
            raise XnnlintError(f"{os.fspath(target)}: not written: {error.strerror or error}") from None


def _place(target: str | os.PathLike[str]) -> Path:
    place = Path(os.path.realpath(target))
    if place.exists() and not place.is_file():
        raise XnnlintError(f"{os.fspath(target)}: this is no file that could be replaced")
    return place


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
