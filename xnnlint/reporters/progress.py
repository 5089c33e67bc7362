"""A bar on stderr while many models are checked: only in a terminal, never in what is printed or piped."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

from xnnlint.reporters.styled_lines import safe

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 0.7  # seconds without one: what is over by then needs no bar, and no import of rich

Item = TypeVar("Item")


def is_wanted(total: int) -> bool:
    """Whether there is a terminal to draw in, and enough to wait for."""
    return total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def with_bar(items: Iterable[Item], names: list[str]) -> Generator[Item]:
    """The same items, one for each name, with a bar while the next one is waited for."""
    since, bar = time.monotonic(), None
    items = iter(items)
    try:
        for done, name in enumerate(names):
            if time.monotonic() - since > _PATIENCE:
                bar = bar or _bar(len(names))
                _show(bar, done, name)
            item = next(items)
            # Whoever gets the item may print to the same terminal.
            _hide(bar)
            yield item
    finally:
        _hide(bar)
        if isinstance(items, Generator):
            items.close()


def _bar(total: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    name = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    # Redirected streams would take what is printed between two models for a part of the bar.
    bar = Progress(
        BarColumn(20),
        MofNCompleteColumn(),
        name,
        console=Console(stderr=True),
        auto_refresh=False,
        expand=True,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("", total=total)
    return bar


def _show(bar: Progress, done: int, name: str) -> None:
    # Where the terminal is gone, nobody is there to see it.
    with contextlib.suppress(OSError):
        bar.update(bar.task_ids[0], completed=done, description=safe(name))
        bar.start()


def _hide(bar: Progress | None) -> None:
    if bar is not None:
        with contextlib.suppress(OSError):
            bar.stop()
