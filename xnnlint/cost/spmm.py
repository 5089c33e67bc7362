"""The sparse kernel's work: passes over the non-zeros, and blocks of output channels.

Sources (google/XNNPACK): src/configs/spmm-config.c, src/f32-spmm/sse.c.in, src/operators/convolution-nchw.c
`create_spmm_path`, src/packing.cc `xnn_analyze_f32_spmm_w`.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

TILE = 32
"""Pixels that the kernel takes at once; what is left over goes in tiles of 16, 8, 4, 2 and 1."""


def passes(pixels: int) -> int:
    """How often the kernel walks all non-zeros of a filter for a map of that many pixels: 49 pixels take 3."""
    return pixels // TILE + (pixels % TILE).bit_count()


def lane_use(pixels: int) -> float:
    """The share of the kernel's lanes that a map fills: 0.51 for 7x7, 0.875 for 14x14, 0.98 for 28x28."""
    return pixels / (TILE * passes(pixels)) if pixels else 0.0


class SpmmWeights(NamedTuple):
    """What the kernel sees of a filter.

    Attributes:
        nonzeros: weights that are walked; of blocks also the zeros inside.
        blocks: entries that are walked, each of `block` weights.
        block: output channels that share what is loaded: 1, 2 or 4.
    """

    nonzeros: int
    blocks: int
    block: int = 1


def spmm_weights(weights: np.ndarray) -> SpmmWeights:
    """How XNNPACK packs a filter of [output channels, input channels].

    It takes four output channels together where at least 90% of what such blocks hold is not zero, else two, else one;
    channels that are left over stand alone.
    """
    import numpy as np

    from xnnlint.model.weights import nonzeros

    matrix = nonzeros(weights.reshape(weights.shape[0], -1))
    total = int(np.count_nonzero(matrix))
    for block, numerator, denominator in ((4, 5, 18), (2, 5, 9)):
        whole = matrix.shape[0] // block * block
        # A row of each block, all with all: many times as fast as `any` over an axis in the middle.
        filled = int(np.count_nonzero(reduce(np.bitwise_or, (matrix[row:whole:block] for row in range(block)))))
        inside = int(np.count_nonzero(matrix[:whole]))
        if filled and inside * numerator >= filled * denominator:
            alone = total - inside
            return SpmmWeights(filled * block + alone, filled + alone, block)
    return SpmmWeights(total, total)
