"""Files in mapped memory."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

from xnnlint.loaders.keras.read_config import Unreadable


def map_file(path: str) -> memoryview:
    """A read-only view of a file, which stays mapped as long as a view of it lives.

    Raises:
        Unreadable: it cannot be opened, or is empty.
    """
    try:
        # A pipe that nobody writes to would be waited for already while it is opened.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable(f"{Path(path).name} is not a regular file")
            size = found.st_size
            if not size:
                raise Unreadable("the file is empty")
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"{Path(path).name} cannot be read ({reason})") from None
