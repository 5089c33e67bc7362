"""A first convolution as one that picks pixels, one that shifts the picks, and a 1x1 convolution with the weights.

Output i of a convolution of stride 2 reads the inputs 2i + t for some offsets t. The kernel that enters a sparse
cluster has the offsets -1, 0 and 1: it picks, for each tap, the pixel at 2i + r with r of -1, 0 or 1. A depthwise
convolution shifts each pick by s whole outputs, so that t = 2s + r.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.fixes.windows import Window
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, STRIDE
from xnnlint.xnnpack.layout import passes_zeros_test

if TYPE_CHECKING:
    import numpy as np


def is_picked(window: Window) -> bool:
    """Whether an entry has as many outputs, and every shift is within a 3x3 kernel."""
    return -(-window.size // STRIDE[0]) == window.outputs and all(abs(_split(tap)[1]) <= 1 for tap in window.taps)


def picks(windows: tuple[Window, Window], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The kernels of zeros and ones: of the entry, [taps, 3, 3, 3], and of the depthwise convolution, [3, 3, taps].

    Taps are in the order of the original kernel: rows, columns, channels.
    """
    import numpy as np

    height, width = (len(window.taps) for window in windows)
    entry = np.zeros((height, width, channels, *KERNEL, CHANNELS), np.float32)
    shift = np.zeros((*KERNEL, height, width, channels), np.float32)
    for row, (r, s) in enumerate(map(_split, windows[0].taps)):
        for column, (q, t) in enumerate(map(_split, windows[1].taps)):
            shift[s + 1, t + 1, row, column] = 1
            for channel in range(channels):
                entry[row, column, channel, r + 1, q + 1, channel] = 1
    taps = height * width * channels
    return entry.reshape(taps, *KERNEL, CHANNELS), shift.reshape(*KERNEL, taps)


def zeros_remain(params: int, zeros: int, dense: int) -> bool:
    """Whether more than two thirds are zeros once so many weights of the stem count, too."""
    return passes_zeros_test(zeros, params + dense)


def _split(tap: int) -> tuple[int, int]:
    """An offset t as r + 2s: the pixel next to an output's own that the entry picks, and the shift in whole outputs."""
    beside = 0 if tap % STRIDE[0] == 0 else 1 if tap > 0 else -1
    return beside, (tap - beside) // STRIDE[0]
