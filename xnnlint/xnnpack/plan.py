"""The plan: what the runtime will do with a model, operator by operator, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from xnnlint.xnnpack.profile import every_runtime

if TYPE_CHECKING:
    from xnnlint.linter.rule import NodeRule
    from xnnlint.model.graph import Graph, Model, Operator
    from xnnlint.xnnpack.delegate.delegation import Delegation, Partition
    from xnnlint.xnnpack.execution import Execution
    from xnnlint.xnnpack.ir import Node, Subgraph
    from xnnlint.xnnpack.layout import LayoutDecision
    from xnnlint.xnnpack.planner import Planner
    from xnnlint.xnnpack.profile import Profile

# A condition taken as fulfilled, to ask what that would change: (kind, index). Kinds, by what they count along:
# operators: "compatible" (its node can run in NCHW), "delegated", "once" (it reads a value once that it reads twice),
#   "pruned" (its weights are zero);
# tensors: "exit" (a cluster end stands behind it), "entry" (a stem stands behind it), "reshape" (a RESHAPE to the same
#   shape stands behind it);
# the whole model, index -1: "encoded", "float", "cpu"; and "dense", which asks what the sparse path changes: that no
#   weight were stored sparse.
Waiver = tuple[str, int]
WHOLE_MODEL = -1
FP32: Waiver = ("fp32", WHOLE_MODEL)
FLOAT: Waiver = ("float", WHOLE_MODEL)
STORED_DENSE: Waiver = ("dense", WHOLE_MODEL)


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
    """Where the model goes wrong: the operator, what happens, and the outcome that follows from it."""

    op: int
    kind: str
    outcome: Outcome
    text: str

    @property
    def of_sparse_path(self) -> bool:
        """Whether the layouts have to do with it; what else is wrong, sparse or dense, is mended by itself."""
        return self.kind not in ("output", "padding")

    @property
    def of_output(self) -> bool:
        """Whether it is about an output's buffer."""
        return self.kind == "output"


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over the main subgraph's 1x1 convolutions: CONV_2D of stride 1 and one group, and whatever else runs SpMM.

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
class PartitionPlan:
    """One delegate partition: its XNNPACK subgraph after all rewrites, and what was decided about it.

    Attributes:
        nodes: the nodes as the layout pass saw them; `rules` and `decision` count along them.
        rules: per node, the rule that judged it.
        sparse_mode: whether the layout pass runs at all.
        decision: what the layout pass decided, or would decide where it does not run.
        execution: what the operators then do; only of partitions with NCHW values.
    """

    partition: Partition
    subgraph: Subgraph
    nodes: list[Node]
    rules: list[NodeRule]
    sparse_mode: bool
    decision: LayoutDecision
    execution: Execution | None = None


@dataclass(slots=True)
class Plan:
    """What the runtime does with a model.

    Attributes:
        operators: every XNNPACK operator of every partition, in execution order.
        kernels: the convolutions and fully-connected operators among them (depthwise and transposed ones included).
        tflite_ops: indices of the operators that TFLite runs itself.
        assumed: the conditions taken as fulfilled; empty for the plan of the model as it is.
        planner: plans the same model again under other assumptions.
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
    delegation: Delegation | None = None
    partitions: list[PartitionPlan] = field(default_factory=list)
    assumed: frozenset[Waiver] = frozenset()
    planner: Planner | None = None

    @property
    def spmm_ops(self) -> set[int]:
        """Indices of the operators that run SpMM."""
        return {k.op for k in self.kernels if k.is_spmm}

    @property
    def is_correct(self) -> bool:
        """Whether the model runs, and gives right results."""
        return self.outcome in (Outcome.SPARSE, Outcome.DENSE)


def make_plan(model: Model, profile: Profile, assume: Iterable[Waiver] = ()) -> Plan:
    """What the runtime of a profile does with a model's main subgraph; of `portable`, what the worst of them does."""
    if profile.is_portable:
        return worst([make_plan(model, runtime, assume) for runtime in every_runtime(profile.cpu)])
    from xnnlint.xnnpack.planner import Planner

    planner = Planner(model, profile)
    plan = planner.plan(assume)
    plan.summary = planner.summarize(plan)
    return plan


def worst(plans: Iterable[Plan]) -> Plan:
    """The plan of the runtime that makes least of a model: fails, wrong results, dense, sparse with fewest SpMM."""
    order = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    return min(plans, key=lambda plan: (order.index(plan.outcome), len(plan.spmm_ops)))


def is_pointwise(graph: Graph, op: Operator) -> bool:
    """A 1x1 CONV_2D that SpMM could run: stride 1, one group."""
    if op.type != "CONV_2D" or len(op.inputs) < 2:
        return False
    x, weights = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
    return (
        weights.rank == 4
        and weights.shape[1:3] == (1, 1)
        and x.rank == 4
        and weights.shape[3] == x.shape[3]
        and op.attributes.get("stride_h") == op.attributes.get("stride_w") == 1
    )


def pointwise_ops(graph: Graph) -> list[int]:
    """Indices of the 1x1 convolutions of a graph."""
    return [op.index for op in graph.operators if is_pointwise(graph, op)]


def pointwise_macs(graph: Graph, op: Operator) -> int:
    """Multiply-accumulates of a 1x1 convolution or fully-connected operator in one inference; a dynamic batch is 1."""
    weights = graph.tensors[op.inputs[1]]
    pixels = math.prod(graph.tensors[op.outputs[0]].shape[:-1])
    return max(pixels, 1) * weights.shape[0] * weights.shape[-1]
