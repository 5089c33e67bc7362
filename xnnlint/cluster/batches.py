"""Pieces of work put together, so that small ones do not cost more on their way than to be done."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_PIECES, _MOST_BYTES = 16, 32 << 20
_FOR_EACH_WORKER = 4
"""Batches that each worker gets at least, or one would work on while the others are done."""


def batches(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """The numbers of the pieces of each batch, the largest pieces first: what takes long shall not come last.

    Args:
        sizes: of the pieces, in bytes; 0 where nobody knows.
        workers: how many share them.
    """
    most = max(1, min(_MOST_PIECES, len(sizes) // (_FOR_EACH_WORKER * max(1, workers))))
    made: list[list[int]] = []
    inside = 0
    for number in sorted(range(len(sizes)), key=lambda number: (-sizes[number], number)):
        if not made or len(made[-1]) == most or inside + sizes[number] > _MOST_BYTES:
            made.append([])
            inside = 0
        made[-1].append(number)
        inside += sizes[number]
    return made
