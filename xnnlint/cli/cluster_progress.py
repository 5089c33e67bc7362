"""What is seen on a terminal while a cluster works: where dask's dashboard is, and a bar."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from xnnlint.cluster.client import Cluster

Item = TypeVar("Item")


def with_progress(found: Iterator[Item], on: Cluster, total: int) -> Generator[Item]:
    """The same results, with a bar where there is a terminal to draw in."""
    from xnnlint.reporters.progress import is_wanted, with_bar

    if not is_wanted(total):
        yield from found
        return
    if on.dashboard:
        print(f"xnnlint: {on.dashboard} shows what the workers do", file=sys.stderr)
    yield from with_bar(found, [f"on {on.workers} workers"] * total)
