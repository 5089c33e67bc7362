"""Every fix there is. A module of fixes has them in a tuple `FIXES`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.operator_change import Fix, View, Way

# In the order in which they are applied: what makes operators new comes before what looks at them.
_MODULES = (
    *("batch", "notation", "constants", "map_pooling", "window_pooling", "channels", "channel_padding", "convolutions"),
    *("resizing", "pointwise", "depthwise_taps", "stem", "stem_stride_1", "unsafe", "prune"),
    # Last, since it looks at the plan, which must be of the graph as it is then.
    *("encoding", "cluster_exits"),
)


@cache
def fixes() -> tuple[Fix, ...]:
    return tuple(fix for name in _MODULES for fix in import_module(f"{__package__}.{name}").FIXES)


def ways(view: View) -> Iterable[Way]:
    """What could make a model right that computes wrong results or fails."""
    from xnnlint.fixes.tflite import rescue

    return rescue.ways(view)


def names() -> list[str]:
    """The names of all fixes, and of the ways to rescue a model."""
    from xnnlint.fixes.tflite import rescue

    return [*dict.fromkeys((*(fix.name for fix in fixes()), *rescue.NAMES))]
