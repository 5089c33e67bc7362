"""Where fetched models are while they are looked at: a folder of this process, which goes with it.

Where a process is killed nobody removes its folder; the next one does. Whoever has a folder holds a lock on a file in
it, which the system gives back when the process ends, however that happens.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from xnnlint.file_lock import lock, opened

_PREFIX = "xnnlint-remote-"
_LOCK = ".lock"


def scratch_folder() -> str:
    """The folder of this process."""
    return _of_process(os.getpid())


@cache
def _of_process(pid: int) -> str:
    remove_stale()
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    # It gets the name by which it is looked for once it is locked; and it is never closed, so that the lock ends with
    # the process.
    drafted = Path(folder, f"{_LOCK}.new")
    lock(os.open(drafted, os.O_RDWR | os.O_CREAT, 0o600))
    drafted.rename(Path(folder, _LOCK))
    atexit.register(_remove, folder, pid)
    return folder


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:  # and no fork of it
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale() -> None:
    """Remove the folders of one's own processes that are gone."""
    if not hasattr(os, "getuid"):
        return
    with contextlib.suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            if not entry.name.startswith(_PREFIX):
                continue
            with contextlib.suppress(OSError):
                own = entry.stat(follow_symlinks=False).st_uid == os.getuid()
                if own and entry.is_dir(follow_symlinks=False):
                    with opened(Path(entry.path, _LOCK)) as handle:
                        if lock(handle):
                            shutil.rmtree(entry.path, ignore_errors=True)
