"""A line on stderr that says what is going on, while it is; only in a terminal, never in what is printed or piped."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def status_line(text: str) -> Iterator[Callable[[str], None]]:
    """Shows a text until the end; what is yielded replaces it by another."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda text: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(text)) as shown:
        yield lambda text: shown.update(Text(text))
