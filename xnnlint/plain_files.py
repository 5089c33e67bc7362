"""Small files that a person names: read as a whole, never waited for, and never larger than such a file is."""

from __future__ import annotations

import errno
import os
import stat

MEGABYTE = 1 << 20
DRAFT = ".xnnlint-draft-"
"""How the names of files begin that are not finished (see `atomic`), and that no search takes for models."""


def read_plain(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a regular file.

    Args:
        most: the size in bytes that it may have.

    Raises:
        OSError: it cannot be read, is a pipe, a device or a folder, or is larger; `strerror` says so.
    """
    # A pipe that nobody writes to would be waited for already while it is opened.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
        data = file.read(most + 1) if found.st_size <= most else b""
        if found.st_size > most or len(data) > most:
            raise OSError(errno.EFBIG, f"it is larger than {most // MEGABYTE} MB", os.fspath(path))
        return data
