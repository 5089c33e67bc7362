"""Files are written as a whole or not at all, and nothing that was there is lost.

A new file is made beside its target first, as a draft with a name that no search for models finds, then moved into
place in one step. Drafts that a killed run left behind go with the next one that writes there: whoever works on a draft
holds a lock on it, which the system gives back when the process ends, however that happens.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.file_lock import lock, opened
from xnnlint.plain_files import DRAFT

_STEP = 1 << 20


class Original(Struct, frozen=True):
    """A file that is to be replaced, as it was when work on it began.

    Attributes:
        place: the file itself, whatever links lead to it.
        digest: SHA-256 of its content.
    """

    place: Path
    digest: bytes


# What `replacing` holds, by place: whoever moves a file there must find what was read.
_held: dict[Path, Original] = {}


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Original]:
    """Work on a file that will be replaced: nobody else may, and it must still be the same in the end.

    Raises:
        XnnlintError: another process works on it.
        OSError: it cannot be read.
    """
    place = _place(target)
    with opened(place) as handle:
        if not lock(handle):
            raise XnnlintError(f"{os.fspath(target)}: another xnnlint is writing it; nothing was changed")
        original = _held[place] = Original(place, _digest(place))
        try:
            yield original
        finally:
            del _held[place]


@contextlib.contextmanager
def draft(target: str | os.PathLike[str]) -> Iterator[str]:
    """The name of an empty file to write to first, with the target's suffix and in its folder; gone at the end.

    Raises:
        XnnlintError: nothing can be written there, or the target is something else than a file.
    """
    place = _place(target)
    _remove_stale(place.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=DRAFT, suffix=place.suffix, dir=place.parent)
    except OSError as error:
        raise XnnlintError(f"{os.fspath(target)}: cannot be written ({error.strerror})") from None
    try:
        lock(handle)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


def commit(drafted: str, target: str | os.PathLike[str], backup: str | os.PathLike[str] = "") -> str:
    """Moves a finished draft into place in one step.

    Args:
        drafted: the name that `draft` gave.
        target: what is there is replaced, and its permissions, owner and group stay, as far as that is allowed; where
            it is a link, the file that it leads to is.
        backup: where to keep a copy of what was there, or ""; with a number behind it where there is such a file.

    Returns:
        Where the copy is, or "".

    Raises:
        XnnlintError: the target is no longer what was read; then it stays as it is.
        OSError: it cannot be written; then the target is as it was.
    """
    place = _place(target)
    kept = _kept(place, backup) if backup else ""
    original = _held.get(place)
    if original is not None and not backup and _digest(place) != original.digest:
        raise _changed(place)
    _like_before(Path(drafted), place)
    _to_disk(Path(drafted))
    Path(drafted).replace(place)
    return kept


def write(data: bytes, target: str | os.PathLike[str], backup: str | os.PathLike[str] = "") -> str:
    """Writes a file as a whole or not at all; see `commit` for the arguments and what it returns.

    Raises:
        XnnlintError: it cannot be written; then the target is as it was.
    """
    with draft(target) as drafted:
        try:
            Path(drafted).write_bytes(data)
            return commit(drafted, target, backup)
        except OSError as error:
            raise XnnlintError(f"{os.fspath(target)}: not written: {error.strerror or error}") from None


def _kept(place: Path, backup: str | os.PathLike[str]) -> str:
    """The name of a new copy of a file, which is complete before it has that name, and takes no other file's.

    Raises:
        XnnlintError: the file is no longer what was read.
    """
    original = _held.get(place)
    with draft(backup) as copied:
        digest = hashlib.sha256()
        # A hard link to the file would share later changes.
        with place.open("rb") as source, Path(copied).open("wb") as sink:
            while piece := source.read(_STEP):
                digest.update(piece)
                sink.write(piece)
        if original is not None and digest.digest() != original.digest:
            raise _changed(place)
        _like_before(Path(copied), place)
        _to_disk(Path(copied))
        for name in _numbered(os.fspath(backup)):
            try:
                os.link(copied, name)
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(name, os.O_CREAT | os.O_EXCL))
                    Path(copied).replace(name)
                    return name
                continue
            return name
    raise AssertionError("there is always another number")


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}.{number}" for number in count(1))


def _changed(place: Path) -> XnnlintError:
    return XnnlintError(f"{place}: not written: it was changed by somebody else since it was read")


def _digest(place: Path) -> bytes:
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while piece := file.read(_STEP):
            digest.update(piece)
    return digest.digest()


def _like_before(drafted: Path, place: Path) -> None:
    """Give a draft the owner, group and permissions of the file that it replaces, as far as that is allowed."""
    with contextlib.suppress(OSError):
        # mkstemp makes files that only their owner may read.
        if not place.exists():
            drafted.chmod(0o666 & ~_umask())
            return
        found = place.stat()
        if hasattr(os, "chown"):
            with contextlib.suppress(OSError):
                os.chown(drafted, -1, found.st_gid)
                os.chown(drafted, found.st_uid, -1)
        drafted.chmod(found.st_mode & 0o777)


def _remove_stale(folder: Path) -> None:
    """Remove the drafts in a folder that nobody works on any more."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(DRAFT) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError), opened(Path(entry.path)) as handle:
                    if lock(handle):
                        os.unlink(entry.path)  # noqa: PTH108


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
