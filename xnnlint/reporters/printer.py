"""Prints styled lines to a stream; only a terminal pays for importing rich (about 0.08 s)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TextIO

from xnnlint.reporters.styled_lines import Line, plain

WIDTH_WITHOUT_TERMINAL = 80
NARROWEST, WIDEST = 40, 120  # longer lines are hard to read


def in_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to style output: in a terminal, unless NO_COLOR; FORCE_COLOR styles a pipe too (no-color.org)."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Columns to wrap at: COLUMNS if set, else the terminal's, else 80."""
    given = environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(int(given), NARROWEST)
    width = WIDTH_WITHOUT_TERMINAL
    if stream.isatty():
        # Some pseudo-terminals have no size.
        with contextlib.suppress(OSError, ValueError):
            width = os.get_terminal_size(stream.fileno()).columns or width
    return min(max(width, NARROWEST), WIDEST)


class Printer:
    """Prints lines to a stream, styled where the stream and the environment want that."""

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self.stream = stream or sys.stdout
        self.width = width_of(self.stream, environ)
        self._terminal = None
        if in_colour(self.stream, environ):
            from xnnlint.reporters.terminal import Terminal

            self._terminal = Terminal(self.stream)

    @property
    def is_terminal(self) -> bool:
        return self.stream.isatty()

    def print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if self._terminal is not None:
                self._terminal.print(line)
            else:
                self.stream.write(plain(line) + "\n")
        self.stream.flush()
