"""A bar on stderr while many models are checked: only in a terminal, never in what is printed or piped."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import TextIO, TypeVar

from xnnlint.reporters.styled_lines import safe, shorten

_BAR = 20
_PATIENCE = 0.7  # seconds without one: what is over by then needs no bar
_ERASE = "\r\x1b[K"

Item = TypeVar("Item")


class Bar:
    """A line that is drawn over and over; `hide` it before anything else is printed.

    Args:
        total: how many models there are.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._since = time.monotonic()
        self._shown = False

    def show(self, done: int, current: str) -> None:
        if time.monotonic() - self._since < _PATIENCE:
            return
        filled = _BAR * done // self._total
        head = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done}/{self._total} "
        room = shutil.get_terminal_size().columns - len(head) - 1
        self._write(_ERASE + head + (shorten(safe(current), room) if room > 3 else ""))
        self._shown = True

    def hide(self) -> None:
        if self._shown:
            self._write(_ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._since = float("inf")  # nobody is there to see it


def is_wanted(total: int) -> bool:
    """Whether there is a terminal to draw in, and enough to wait for."""
    return total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def with_bar(items: Iterable[Item], names: list[str]) -> Iterator[Item]:
    """The same items, one for each name, with a bar while the next one is waited for."""
    bar = Bar(len(names))
    items = iter(items)
    try:
        for done, name in enumerate(names):
            bar.show(done, name)
            item = next(items)
            bar.hide()
            yield item
    finally:
        bar.hide()
        if isinstance(items, Generator):
            items.close()
