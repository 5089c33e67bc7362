"""Styled lines on a terminal, by rich. Imported only where colour is wanted."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from xnnlint.reporters.styled_lines import BAD, CAUTION, FAINT, GOOD, STRONG, Line

_LOOKS = {
    STRONG: "bold",
    FAINT: "dim",
    GOOD: "bold green",
    CAUTION: "bold yellow",
    BAD: "bold red",
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
}


class Terminal:
    """A terminal that shows lines; text is never read as markup, and nothing is highlighted by guess."""

    def __init__(self, stream: TextIO) -> None:
        # Without no_color=False, an empty NO_COLOR would switch colours off, against its own definition.
        self._console = Console(
            file=stream, force_terminal=True, no_color=False, markup=False, highlight=False, emoji=False
        )

    def print(self, line: Line) -> None:
        text = Text.assemble(*((span.text, _LOOKS.get(span.style, "")) for span in line))
        text.rstrip()
        # soft_wrap: the lines are wrapped already, and a long name must stay whole for copying.
        self._console.print(text, soft_wrap=True)
