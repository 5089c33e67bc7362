"""Locks on files, which end with the process that holds them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which does not let files be replaced that others have open anyway
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file's descriptor, for reading."""
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def lock(handle: int) -> bool:
    """Lock a file for this process until the descriptor is closed; False where another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
