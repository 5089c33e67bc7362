"""1x1 convolutions of zeros and ones, which give channels of a map as they are: how a sparse cluster moves channels.

They are frozen (trainable=False), so that training keeps them. The products with zero are exact for all finite values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xnnlint.fixes.keras.config_scope import Entry, Scope, beside
from xnnlint.fixes.keras.layer_code import code

_CONFIG = {
    "kernel_size": [1, 1],
    "strides": [1, 1],
    "padding": "valid",
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "groups": 1,
    "activation": "linear",
    "use_bias": False,
}


def selecting(scope: Scope, entry: Entry, name: str, filters: int) -> Entry:
    """Such a layer in the words in which the file has `entry`, under a name that is like `name` and free."""
    new = beside(entry, "Conv2D", scope.fresh(name), {"filters": filters, **_CONFIG})
    new["config"]["trainable"] = False
    return new


def selection(rows: Sequence[int | None], channels: int) -> tuple[np.ndarray, ...]:
    """The weights of one that gives these of so many channels, in this order; None for a channel of zeros."""
    kernel = np.zeros((1, 1, channels, len(rows)), np.float32)
    for row, channel in enumerate(rows):
        if channel is not None:
            kernel[0, 0, channel, row] = 1
    return (kernel,)


def shown(entry: Entry, kernel: str) -> str:
    """The layer as code, with what its kernel is."""
    return f"{code(entry)[:-1]}, trainable=False)  # kernel: {kernel}"
