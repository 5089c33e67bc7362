"""The plan: what the runtime will do with a model, operator by operator, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from xnnlint.xnnpack.fault import FaultKind, Wrong

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph, Model, Operator
    from xnnlint.xnnpack.conditions.node_condition import NodeCondition
    from xnnlint.xnnpack.delegate.delegation import Delegation, Failure, Partition
    from xnnlint.xnnpack.execution import Execution
    from xnnlint.xnnpack.fault import Fault
    from xnnlint.xnnpack.ir import Node, Subgraph
    from xnnlint.xnnpack.layout import LayoutDecision
    from xnnlint.xnnpack.profile import Profile
    from xnnlint.xnnpack.waiver import Waiver


class Outcome(str, Enum):
    """What becomes of a model in the runtime; see docs for the numbers behind each."""

    SPARSE = "sparse"
    DENSE = "dense"
    WRONG_RESULTS = "wrong-results"
    FAILS = "fails"


class Kernel(Struct, frozen=True):
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


class Hazard(Struct, frozen=True):
    """Where the model goes wrong, what is wrong, and the outcome that follows from it.

    Attributes:
        op: index of the operator; of what happens in a subgraph the one that calls it; None where there is none.
    """

    op: int | None
    fault: Fault
    outcome: Outcome

    @property
    def place(self) -> int:
        """The operator of a hazard that has one."""
        assert self.op is not None
        return self.op

    @property
    def kind(self) -> FaultKind:
        return self.fault.wrong.kind

    @property
    def of_sparse_path(self) -> bool:
        """Whether the layouts have to do with it; what else is wrong, sparse or dense, is mended by itself."""
        return self.kind not in _SPARSE_OR_DENSE

    @property
    def of_output(self) -> bool:
        """Whether it is about an output's buffer."""
        return self.kind is FaultKind.OUTPUT


_SPARSE_OR_DENSE = (
    *(FaultKind.OUTPUT, FaultKind.NAMES, FaultKind.PADDING, FaultKind.SPARSE_ENCODING, FaultKind.TFLITE),
    FaultKind.LOADING,
)


class Summary(Struct, frozen=True):
    """Totals over the 1x1 convolutions of all subgraphs that run: CONV_2D of stride 1 and one group, and whatever else
    runs SpMM.

    `macs` are multiply-accumulates of one inference, `params` weights, `zeros` weights equal to 0 (or -0).
    """

    pointwise_convs: int
    spmm: int
    pointwise_macs: int
    spmm_macs: int
    pointwise_params: int
    pointwise_zeros: int
    partitions: int


class PartitionPlan(Struct):
    """One delegate partition: its XNNPACK subgraph after all rewrites, and what was decided about it.

    Attributes:
        nodes: the nodes as the layout pass saw them; `conditions` and `decision` count along them.
        conditions: per node, the condition that judged it.
        sparse_mode: whether the layout pass runs at all.
        decision: what the layout pass decided, or would decide where it does not run.
        execution: what the operators then do; only of partitions with NCHW values.
    """

    partition: Partition
    subgraph: Subgraph
    nodes: list[Node]
    conditions: list[NodeCondition]
    sparse_mode: bool
    decision: LayoutDecision
    execution: Execution | None = None
    _writers: dict[int, int] | None = None
    _read_inside: set[int] | None = None
    _readers: dict[int, list[int]] | None = None
    _nodes_of: dict[int, list[int]] | None = None
    _at_maps: set[int] | None = None

    @property
    def at_maps(self) -> set[int]:
        """Index of every node at a map of more than one pixel (or a sequence, where an image became one), or before
        one. The others stand behind the last pooling, where no cluster can be and nothing stops one."""
        if self._at_maps is None:
            self._at_maps = set()
            values = self.subgraph.values
            maps = {v.id for v in values if math.prod(v.shape[1:-1]) > 1 and not v.is_static}
            for n in reversed(range(len(self.nodes))):
                node = self.nodes[n]
                if not (maps.isdisjoint(node.inputs) and maps.isdisjoint(node.outputs)):
                    self._at_maps.add(n)
                    maps.update(v for v in node.inputs if not values[v].is_static)
        return self._at_maps

    @property
    def writers(self) -> dict[int, int]:
        """Value id -> index of the node that writes it, of `nodes`."""
        if self._writers is None:
            self._writers = {}
            for n, node in enumerate(self.nodes):
                for v in node.outputs:
                    self._writers.setdefault(v, n)
        return self._writers

    @property
    def readers(self) -> dict[int, list[int]]:
        """Value id -> indices of the nodes that read it, of `nodes`."""
        if self._readers is None:
            self._readers = {}
            for n, node in enumerate(self.nodes):
                for v in dict.fromkeys(node.inputs):
                    self._readers.setdefault(v, []).append(n)
        return self._readers

    @property
    def nodes_of(self) -> dict[int, list[int]]:
        """Index of a TFLite operator -> indices of the nodes that were made from it, of `nodes`."""
        if self._nodes_of is None:
            self._nodes_of = {}
            for n, node in enumerate(self.nodes):
                self._nodes_of.setdefault(node.op, []).append(n)
        return self._nodes_of

    @property
    def read_inside(self) -> set[int]:
        """Ids of the values that nodes read which can be part of a cluster."""
        if self._read_inside is None:
            judged = zip(self.nodes, self.decision.verdicts, strict=True)
            self._read_inside = {v for node, verdict in judged if verdict.layout for v in node.inputs}
        return self._read_inside


class Called(Struct, frozen=True):
    """A subgraph that operators call: the body of a WHILE, say. The delegate takes each subgraph by itself.

    Attributes:
        subgraph: its index in the file.
        role: what the operator calls it: "cond", "body", "then", "else", "init", ...; "" where nothing that runs calls
            it, such as another signature.
        op: the operator of the main subgraph that leads to it, None where none does.
        plan: of that subgraph alone.
    """

    subgraph: int
    role: str
    op: int | None
    plan: Plan


class Reaching(Protocol):
    """How far a change of single operators reaches; see `reach.Reach`."""

    @property
    def is_dense(self) -> bool: ...

    def loses(self, ops: Collection[int]) -> bool: ...

    def may_gain(self, ops: Collection[int]) -> bool: ...

    def may_gain_by_end(self, tensor: int) -> bool: ...

    def may_arm(self, ops: Collection[int]) -> bool: ...


class Replanner(Protocol):
    """Plans one model again under other assumptions; see `planner.Planner`."""

    def plan(self, assume: Iterable[Waiver] = ()) -> Plan: ...

    def spmm(self, assume: Iterable[Waiver]) -> frozenset[int]: ...

    def is_right(self, assume: Iterable[Waiver]) -> bool: ...

    def reach(self, assume: Iterable[Waiver] = ()) -> Reaching: ...

    def weight_zeros(self, op: Operator) -> tuple[int, int]: ...


class Plan(Struct):
    """What the runtime does with a model.

    Attributes:
        graph: the subgraph that is planned, its composites inlined where the runtime does so.
        operators: every XNNPACK operator of every partition, in execution order.
        kernels: the convolutions and fully-connected operators among them (depthwise and transposed ones included).
        tflite_ops: indices of the operators that TFLite runs itself.
        failure: set where applying the delegate fails, which no fallback follows; nothing is planned then.
        assumed: the conditions taken as fulfilled; empty for the plan of the model as it is.
        planner: plans the same model again under other assumptions.
        called: the other subgraphs of the file, by index; those of composites that were inlined are left out.
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
    failure: Failure | None = None
    partitions: list[PartitionPlan] = field(default_factory=list)
    assumed: frozenset[Waiver] = frozenset()
    planner: Replanner | None = None
    called: list[Called] = field(default_factory=list)

    @property
    def spmm_ops(self) -> set[int]:
        """Indices of the operators that run SpMM."""
        return {k.op for k in self.kernels if k.is_spmm}

    @property
    def is_correct(self) -> bool:
        """Whether the model runs, and gives right results."""
        return self.outcome in (Outcome.SPARSE, Outcome.DENSE)

    @property
    def runs(self) -> bool:
        """Whether it does, right or wrong."""
        return self.outcome is not Outcome.FAILS

    def allows(self, outcome: Outcome) -> bool:
        """Whether an outcome may come: the planned one, and where the runtime reads past the file's end, what lies
        there decides whether the process dies or goes on with garbage."""
        open_end = any(hazard.fault.wrong is Wrong.READ_PAST_FILE for hazard in self.hazards)
        return outcome is self.outcome or (open_end and outcome in (Outcome.WRONG_RESULTS, Outcome.FAILS))


def running(plan: Plan) -> Iterator[Plan]:
    """The plan of the main subgraph, and those of the subgraphs that its operators may call."""
    yield plan
    yield from (called.plan for called in plan.called if called.op is not None)


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
