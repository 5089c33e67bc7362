"""A folder of entries: JSON under a key, written as a whole, never in anybody's way, and bounded.

Whatever is wrong with the folder or with an entry makes it one that is not there: a cache that fails costs time, and no
more. An entry says in its first line what it is and what its text must come to, so that none that is damaged, cut
short, of another key or of another version is taken. Nothing in one is run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from xnnlint.cache.digests import digest_of

VERSION = 1
"""Of the form of entries; one with another is not read."""
MOST_BYTES = 100_000_000
_KEPT_BYTES = MOST_BYTES * 3 // 4
MOST_OF_ONE = 8_000_000
"""Bytes of one entry; what is larger is not kept."""
_NAME = re.compile(r"[0-9a-f]{32}\.json")
_DRAFT = re.compile(r"[0-9a-f]{32}\.[0-9]+\.part")
_HOUR = 3600.0


def key_of(value: Any) -> str:
    """The key for what an entry depends on, as values of JSON."""
    return digest_of(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass"))


class Store:
    """The entries in a folder, which is made once there is one to write."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._can_write = True
        self._has_written = False

    def has(self, key: str) -> bool:
        """Whether there is an entry, sound or not."""
        return os.path.exists(self._file(key))  # noqa: PTH110

    def read(self, key: str) -> Any:
        """What was written under a key, or None."""
        try:
            with open(self._file(key), "rb") as file:  # noqa: PTH123 (for each model)
                data = file.read(MOST_OF_ONE + 1)
                last_used = os.fstat(file.fileno()).st_mtime
            head, _, text = data.partition(b"\n")
            if head != _head(key, text):
                return None
            value = json.loads(text)
        except (OSError, ValueError, RecursionError):
            return None
        # What was used of late is the last to go; once an hour is enough to tell.
        if abs(time.time() - last_used) > _HOUR:
            with contextlib.suppress(OSError):
                os.utime(self._file(key))
        return value

    def write(self, key: str, value: Any) -> None:
        """Keep a value under a key, where that is possible."""
        if not self._can_write:
            return
        text = json.dumps(value).encode("ascii")
        if len(text) > MOST_OF_ONE - 1000:
            return
        draft = os.path.join(self._folder, f"{key}.{os.getpid()}.part")  # noqa: PTH118
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)  # noqa: PTH103
            with open(draft, "wb") as file:  # noqa: PTH123
                file.write(_head(key, text) + b"\n" + text)
            os.replace(draft, self._file(key))  # noqa: PTH105
        except OSError:
            # A folder that cannot be written to, or a full disk: the run goes on without.
            self._can_write = False
            with contextlib.suppress(OSError):
                os.unlink(draft)  # noqa: PTH108
        self._has_written = True

    def end(self) -> None:
        """Remove the entries that were not used for longest, where there are too many."""
        if self._has_written:
            self._has_written = False
            _remove_oldest(self._folder)

    def clear(self) -> int:
        """Remove all entries, and the folder if nothing else is in it; how many there were."""
        count = 0
        for entry in _entries(self._folder):
            with contextlib.suppress(OSError):
                os.unlink(entry.path)  # noqa: PTH108
                count += bool(_NAME.fullmatch(entry.name))
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)  # noqa: PTH106
        return count

    def _file(self, key: str) -> str:
        return os.path.join(self._folder, f"{key}.json")  # noqa: PTH118


def _head(key: str, text: bytes) -> bytes:
    return f"xnnlint {VERSION} {key} {digest_of(text)}".encode()


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Files with names as entries, or as what a killed run left of one, have them; no others are ever touched."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if (_NAME.fullmatch(entry.name) or _DRAFT.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                yield entry


def _remove_oldest(folder: str) -> None:
    found = []
    now = time.time()
    for entry in _entries(folder):
        with contextlib.suppress(OSError):
            stat = entry.stat(follow_symlinks=False)
            if _NAME.fullmatch(entry.name):
                # A clock that once was ahead must not make an entry the youngest for ever.
                found.append((min(stat.st_mtime, now), stat.st_size, entry.path))
            elif abs(now - stat.st_mtime) > _HOUR:
                os.unlink(entry.path)  # noqa: PTH108
    size = sum(size for _, size, _ in found)
    if size <= MOST_BYTES:
        return
    for _, own, path in sorted(found):
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108
        size -= own
        if size <= _KEPT_BYTES:
            return
