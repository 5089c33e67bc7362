"""`xnnlint check --watch`: models are checked again when they are written.

Files are asked for their time and size twice a second; that works on every file system, in containers and over networks
too, where notifications do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

SECONDS = 0.5

Stamp = tuple[int, int, int]
"""Latest time of modification in nanoseconds, bytes, and number of files."""


def changed(find: Callable[[], Iterable[str]], wait: Callable[[], None] | None = None) -> Iterator[list[str]]:
    """The models that were written since they were last looked at, again and again.

    A file that is still being written is left alone until it stays the same from one look to the next. The first look
    gives nothing: what is there is known.

    Args:
        find: gives the models that there are now.
        wait: between two looks.
    """
    # Now, and not when the first is asked for: what is written while the models are checked is seen.
    return _written(_stamps(find()), find, wait or (lambda: time.sleep(SECONDS)))


def _written(
    known: dict[str, Stamp], find: Callable[[], Iterable[str]], wait: Callable[[], None]
) -> Iterator[list[str]]:
    before = known
    while True:
        wait()
        now = _stamps(find())
        written = [path for path, stamp in now.items() if known.get(path) != stamp and before.get(path) == stamp]
        known = {path: stamp for path, stamp in known.items() if path in now} | {path: now[path] for path in written}
        before = now
        if written:
            yield written


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    return {path: stamp for path in paths if (stamp := _stamp(Path(path))) is not None}


def _stamp(path: Path) -> Stamp | None:
    """None of what is not there, such as a file that is being replaced."""
    try:
        files = [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path]
        found = [file.stat() for file in files]
    except OSError:
        return None
    return max((one.st_mtime_ns for one in found), default=0), sum(one.st_size for one in found), len(found)
