"""The plan: what the runtime will do with a model, operator by operator, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..graph import Graph, Model
    from .profile import Profile


class Outcome(str, Enum):
    """What becomes of a model in the runtime; see docs for the numbers behind each."""

    SPARSE = "sparse"
    DENSE = "dense"
    WRONG_RESULTS = "wrong-results"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Kernel:
    """An operator that XNNPACK executes.

    Attributes:
        op: index of the TFLite operator it comes from.
        name: that operator's name, in the user's words.
        type: its TFLite type.
        kernel: the operator's name as LiteRT's profiler prints it.
        partition: index of the delegate partition.
        nchw: whether it writes its output in NCHW.
    """

    op: int
    name: str
    type: str
    kernel: str
    partition: int
    nchw: bool = False

    @property
    def is_spmm(self) -> bool:
        return self.kernel.endswith("SPMM")


@dataclass(frozen=True, slots=True)
class Hazard:
    """Where the sparse path goes wrong: the operator, what happens, and the outcome that follows from it."""

    op: int
    kind: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over the 1x1 convolutions (stride 1, ungrouped CONV_2D, and FULLY_CONNECTED inside a cluster) of the main subgraph.

    `macs` are multiply-accumulates of one inference, `params` weights, `zeros` weights equal to 0 (or -0).
    """

    pointwise_convs: int
    spmm: int
    pointwise_macs: int
    spmm_macs: int
    pointwise_params: int
    pointwise_zeros: int
    partitions: int


@dataclass(slots=True)
class Plan:
    """What the runtime does with a model.

    Attributes:
        operators: every XNNPACK operator of every partition, in execution order.
        kernels: the convolutions and fully-connected operators among them (depthwise and transposed ones included).
        tflite_ops: indices of the operators that TFLite runs itself.
    """

    model: Model
    graph: Graph
    profile: Profile
    outcome: Outcome
    operators: list[Kernel] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    tflite_ops: list[int] = field(default_factory=list)
    hazards: list[Hazard] = field(default_factory=list)
    summary: Summary | None = None
