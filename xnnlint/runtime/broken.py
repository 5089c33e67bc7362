"""Files that no kernel of LiteRT gets right."""

from __future__ import annotations

from enum import Enum


class Broken(str, Enum):
    """That not only the run in question goes wrong, but LiteRT's other kernels, too."""

    OWN_KERNELS_ERR = "own-kernels-err"
    """Without a delegate LiteRT's kernels give wrong numbers, too."""
    OWN_KERNELS_DIE = "own-kernels-die"
    """Without a delegate the process dies, too."""
    OWN_KERNELS_REFUSE = "own-kernels-refuse"
    """Without a delegate LiteRT refuses the file, too."""
    NOTHING_FINITE = "nothing-finite"
    """Every kernel gives an output without one finite element."""
    NOTHING_RUNS = "nothing-runs"
    """No kernel runs it, with or without a delegate."""
