"""Conditions taken as fulfilled, to ask what that would change."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

PRUNED_SHARE = 0.8
"""The final sparsity that advice to prune means; it is the usual one."""
WHOLE_MODEL = -1
"""The place of a waiver that is about no single operator or tensor."""


class WaiverKind(str, Enum):
    """What is taken as fulfilled. A string, so that hashing it costs as little as it does for one."""

    COMPATIBLE = "compatible"
    """An operator: its node can run in NCHW."""
    DELEGATED = "delegated"
    """An operator: XNNPACK takes it."""
    ONCE = "once"
    """An operator: it reads a value once that it reads twice."""
    PRUNED = "pruned"
    """An operator: at least `PRUNED_SHARE` of its weights are zero."""
    EXIT = "exit"
    """A tensor: a cluster end stands behind it."""
    ENTRY = "entry"
    """A tensor: a stem stands behind it."""
    RESHAPE = "reshape"
    """A tensor: a RESHAPE to the same shape stands behind it."""
    ENCODED = "encoded"
    """The whole model: some weight is stored sparse."""
    FLOAT = "float"
    """The whole model: nothing is quantized."""
    FP32 = "fp32"
    """The whole model: it does not ask for fp16 arithmetic."""
    STORED_DENSE = "stored-dense"
    """The whole model: no weight is stored sparse, so that the sparse path is off; asks what that path changes."""
    CPU = "cpu"
    """The whole model: the CPU and the build have the sparse path."""

    @property
    def is_of_tensor(self) -> bool:
        return self in _OF_TENSORS


_OF_TENSORS = frozenset((WaiverKind.EXIT, WaiverKind.ENTRY, WaiverKind.RESHAPE))


class Waiver(NamedTuple):
    """A condition taken as fulfilled at one place.

    Attributes:
        place: index of the operator or the tensor that `kind` is about, `WHOLE_MODEL` where it is about neither.
    """

    kind: WaiverKind
    place: int = WHOLE_MODEL


ENCODED = Waiver(WaiverKind.ENCODED)
STORED_DENSE = Waiver(WaiverKind.STORED_DENSE)
FLOAT = Waiver(WaiverKind.FLOAT)
FP32 = Waiver(WaiverKind.FP32)
CPU = Waiver(WaiverKind.CPU)
