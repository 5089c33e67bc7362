"""The plan: what the runtime will do with a model, operator by operator, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from .delegate import Delegation, Failure, Partition, delegate
from .execution import Execution, Order, State, execute, is_order_free
from .half import can_become_fp16, to_fp16, uses_fp16
from .ir import Layout, Node, NodeType, Subgraph, Value
from .kernels import kernel_name
from .layout import LayoutDecision, decide_layouts
from .lowering import lower
from .profile import every_runtime
from .rewrites import inline_quantization, optimize

if TYPE_CHECKING:
    from xnnlint.graph import Graph, Model, Operator
    from xnnlint.rule import NodeRule, Verdict

    from .profile import Profile

# A condition taken as fulfilled, to ask what that would change: (kind, index). Kinds, by what they count along:
# operators: "compatible" (its node can run in NCHW), "delegated", "once" (it reads a value once that it reads twice),
#   "pruned" (its weights are zero);
# tensors: "exit" (a cluster end stands behind it), "entry" (a stem stands behind it), "reshape" (a RESHAPE to the same
#   shape stands behind it);
# the whole model, index -1: "encoded", "float", "cpu".
Waiver = tuple[str, int]
_OF_TENSORS = ("exit", "entry", "reshape")
WHOLE_MODEL = -1
FP32: Waiver = ("fp32", WHOLE_MODEL)
FLOAT: Waiver = ("float", WHOLE_MODEL)
# A node's rule and its verdict.
Judgement = tuple["NodeRule", "Verdict"]
# Rules that assumptions treat in a way of their own.
QUANTIZED, STEM, REDUCE = "XNN100", "XNN101", "XNN109"
# Operators that refuse a wrong number of channels, whoever runs them.
CHANNEL_CHECKING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
POINTWISE_NODES = (NodeType.FULLY_CONNECTED, NodeType.CONVOLUTION_2D)
CONVOLUTION_NODES = (*POINTWISE_NODES, NodeType.DEPTHWISE_CONVOLUTION_2D)


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


WEIGHTED_KERNELS = ("Convolution", "Fully Connected", "Deconvolution")


def make_plan(model: Model, profile: Profile, assume: Iterable[Waiver] = ()) -> Plan:
    """What the runtime of a profile does with a model's main subgraph; of `portable`, what the worst of them does."""
    if profile.is_portable:
        return worst([make_plan(model, runtime, assume) for runtime in every_runtime(profile.cpu)])
    planner = Planner(model, profile)
    plan = planner.plan(assume)
    plan.summary = planner.summarize(plan)
    return plan


def worst(plans: Iterable[Plan]) -> Plan:
    """The plan of the runtime that makes least of a model: fails, wrong results, dense, sparse with fewest SpMM."""
    order = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    return min(plans, key=lambda plan: (order.index(plan.outcome), len(plan.spmm_ops)))


@dataclass
class _Prepared:
    """A partition after all rewrites, before any decision."""

    partition: Partition
    subgraph: Subgraph
    judged: list[Judgement]
    decisions: dict[frozenset[Waiver], PartitionPlan] = field(default_factory=dict)

    @cached_property
    def ops(self) -> set[int]:
        return set(self.partition.ops)

    @cached_property
    def tensors(self) -> set[int | None]:
        return {v.tensor for v in self.subgraph.values}


class Planner:
    """Plans one model again and again under different assumptions; what they do not touch is done once."""

    def __init__(self, model: Model, profile: Profile) -> None:
        self.model = model
        self.graph = model.main
        self.profile = profile
        self._prepared: dict[frozenset[Waiver], tuple[Delegation, list[_Prepared]]] = {}
        self._zeros: dict[int, tuple[int, int]] = {}

    def plan(self, assume: Iterable[Waiver] = ()) -> Plan:
        """The plan under the given assumptions."""
        assumed = frozenset(assume)
        plan = Plan(self.model, self.graph, self.profile, Outcome.DENSE)
        plan.delegation, prepared = self._prepare(assumed)
        plan.assumed, plan.planner = assumed, self
        plan.tflite_ops = [entry for entry in plan.delegation.schedule if isinstance(entry, int)]
        plan.partitions = [self._decided(part, assumed) for part in prepared]
        for part in plan.partitions:
            nodes = (node for node in part.subgraph.nodes if is_profiled(node, part.subgraph))
            plan.operators += (self._kernel(part, node) for node in nodes)
        plan.kernels = [k for k in plan.operators if k.kernel.startswith(WEIGHTED_KERNELS)]
        self._judge_outcome(plan)
        return plan

    def spmm(self, assume: Iterable[Waiver]) -> frozenset[int]:
        """Operators that would run SpMM with right results; empty where the model would not be sparse and right.

        The same answer as from `plan`, without the rest of it.
        """
        assumed = frozenset(assume)
        as_it_is, _ = self._prepare(frozenset())
        if not as_it_is.sparse_weights and ("encoded", WHOLE_MODEL) not in assumed:
            return frozenset()
        plan = Plan(self.model, self.graph, self.profile, Outcome.DENSE)
        plan.delegation, prepared = self._prepare(assumed)
        if not any(self._sparse_mode(part.subgraph, assumed) for part in prepared):
            return frozenset()
        plan.partitions = [self._decided(part, assumed) for part in prepared]
        self._judge_outcome(plan)
        if plan.hazards:
            return frozenset()
        return frozenset(
            node.op
            for part in plan.partitions
            for node in part.subgraph.nodes
            if node.type in POINTWISE_NODES
            and all(part.subgraph.values[v].nchw for v in (node.inputs[0], *node.outputs))
        )

    def _sparse_mode(self, subgraph: Subgraph, assumed: frozenset[Waiver]) -> bool:
        hint = subgraph.sparse_hint or ("encoded", WHOLE_MODEL) in assumed
        return hint and (self.profile.sparse_cpu or ("cpu", WHOLE_MODEL) in assumed)

    def _prepare(self, assumed: frozenset[Waiver]) -> tuple[Delegation, list[_Prepared]]:
        """Delegation, lowering and rewrites, once for each set of operators assumed to be delegated."""
        claims = frozenset(w for w in assumed if w[0] == "delegated" or w in (FP32, FLOAT))
        if claims not in self._prepared:
            in_fp16 = uses_fp16(self.model.metadata, self.profile) and FP32 not in claims
            fp16 = self.profile["fp16_inference"] if in_fp16 else None
            delegation = delegate(self.graph, self.profile, claims)
            if FLOAT in claims:
                delegation.failure = None
            prepared = []
            for partition in delegation.partitions if delegation.failure is None else ():
                subgraph = lower(self.graph, partition, delegation, self.profile)
                if FLOAT in claims:
                    self._unpack_integers(subgraph)
                if fp16 == "dense":
                    to_fp16(subgraph, by_delegate=True)
                crash = optimize(subgraph, self.profile)
                if crash is not None:
                    reason = "XNNPACK removes the only reader of its output, a branch that nobody reads, and crashes"
                    delegation.failure = Failure(crash.op, reason)
                if fp16 in ("breaks", "sparse") and can_become_fp16(subgraph):
                    to_fp16(subgraph, by_delegate=False)
                judged = [self._judge(node, subgraph) for node in subgraph.nodes]
                prepared.append(_Prepared(partition, subgraph, judged))
            self._prepared[claims] = delegation, prepared
        return self._prepared[claims]

    def _unpack_integers(self, subgraph: Subgraph) -> None:
        """Give integer weights behind DENSIFY the data that the runtime never finds, as if they were float."""
        from xnnlint.weights import decode

        for value in subgraph.values:
            tensor = value.tensor
            if value.dtype.startswith("qcint") and value.data is None and tensor is not None:
                value.data = lambda tensor=tensor: decode(self.graph, tensor).reshape(-1)

    def _decided(self, prepared: _Prepared, assumed: frozenset[Waiver]) -> PartitionPlan:
        """`_decide`, once for each set of assumptions that touches the partition."""
        ops, tensors = prepared.ops, prepared.tensors
        touching = frozenset(
            (kind, i)
            for kind, i in assumed
            if i == WHOLE_MODEL or (i in tensors if kind in _OF_TENSORS else i in ops)
        )
        if touching not in prepared.decisions:
            prepared.decisions[touching] = self._decide(prepared, touching)
        return prepared.decisions[touching]

    def _decide(self, prepared: _Prepared, assumed: frozenset[Waiver]) -> PartitionPlan:
        """Decide on the layouts of one partition."""
        subgraph = prepared.subgraph.copy()
        known = {
            id(node): self._assume(node, subgraph, judged, assumed)
            for node, judged in zip(subgraph.nodes, prepared.judged, strict=True)
        }
        own = {id(node): judged for node, judged in zip(subgraph.nodes, prepared.judged, strict=True)}
        for node in subgraph.nodes:
            if ("once", node.op) in assumed and len(set(node.inputs)) < len(node.inputs):
                node.inputs = node.inputs[:1]
                node.type, node.operator = NodeType.UNARY, "assumed"
        self._insert_assumed_ends(subgraph, own, assumed)
        judged = [known.get(id(node)) or self._judge(node, subgraph) for node in subgraph.nodes]
        verdicts = [v for _, v in judged]
        decision = decide_layouts(subgraph, verdicts, lambda node: self._weights(node, subgraph, assumed))
        sparse_mode = self._sparse_mode(subgraph, assumed)
        if not sparse_mode:
            for value in subgraph.values:
                value.nchw = False
        nodes, rules = list(subgraph.nodes), [r for r, _ in judged]
        part = PartitionPlan(prepared.partition, subgraph, nodes, rules, sparse_mode, decision)
        inline_quantization(subgraph, self.profile)
        if any(v.nchw for v in subgraph.values):
            waived = {op for kind, op in assumed if kind in ("compatible", "delegated")}
            part.execution = execute(subgraph, self.profile, waived)
        return part

    def _insert_assumed_ends(
        self, subgraph: Subgraph, own: dict[int, Judgement], assumed: frozenset[Waiver]
    ) -> None:
        """Put what is assumed to stand between operators into a subgraph, as nodes that only pass values on.

        Args:
            own: per node, what its rule says of it without any assumption.
        """
        exits = {i for kind, i in assumed if kind == "exit"}
        entries = {i for kind, i in assumed if kind == "entry"}
        reshapes = {i for kind, i in assumed if kind == "reshape"}
        for value in list(subgraph.values) if exits or entries or reshapes else ():
            if value.tensor in reshapes and not value.is_static:
                _insert_reshape(subgraph, value)
            if value.tensor in exits and not value.is_static:
                _insert_exit(subgraph, value, own)
            if value.tensor in entries and not value.is_static:
                _insert_entry(subgraph, value)

    def _judge(self, node: Node, subgraph: Subgraph, ignored: str = "") -> Judgement:
        """The rule that judges a node, and what it says."""
        from xnnlint.rule import node_rules

        rule = next(r for r in node_rules() if r.code != ignored and r.applies(node, subgraph))
        return rule, rule.judge(node, subgraph, self.profile)

    def _assume(self, node: Node, subgraph: Subgraph, judged: Judgement, assumed: frozenset[Waiver]) -> Judgement:
        """A node's judgement with the assumptions about it in place."""
        from xnnlint.rule import Verdict

        rule, verdict = judged
        if rule.code == QUANTIZED and FLOAT in assumed:
            rule, verdict = self._judge(node, subgraph, ignored=QUANTIZED)
            if node.operator == "convert":
                return rule, Verdict(Layout.NCHW)  # A float model has none of these.
        if ("compatible", node.op) in assumed and verdict.unmet:
            layouts = {STEM: Layout.ENTRY, REDUCE: Layout.NCHW | Layout.EXIT}
            return rule, Verdict(layouts.get(rule.code, Layout.NCHW))
        return rule, verdict

    def _weights(self, node: Node, subgraph: Subgraph, assumed: frozenset[Waiver]) -> tuple[int, int]:
        """(elements, zeros) of a node's weights as `xnn_subgraph_rewrite_for_nchw` counts them."""
        filter_value = subgraph.values[node.inputs[1]]
        params = filter_value.shape[0] * filter_value.shape[-1]
        if ("pruned", node.op) in assumed:
            return params, params
        return params, self._count_zeros(filter_value, params)

    def _count_zeros(self, value: Value, params: int) -> int:
        key = value.tensor if value.tensor is not None else -1
        known = self._zeros.get(key)
        if known is None or known[0] != params:
            from xnnlint.weights import count_zeros

            zeros = count_zeros(value.data().reshape(-1)[:params]) if value.data else 0
            known = (params, zeros)
            if value.tensor is not None:
                self._zeros[key] = known
        return known[1]

    def _kernel(self, part: PartitionPlan, node: Node) -> Kernel:
        op = self.graph.operators[node.op]
        nchw = any(part.subgraph.values[v].nchw for v in node.outputs)
        kernel = kernel_name(node, part.subgraph, self.profile)
        return Kernel(op.index, op.name, op.custom_code or op.type, kernel, part.partition.index, nchw)

    # -- what comes of it

    def _judge_outcome(self, plan: Plan) -> None:
        delegation = plan.delegation
        if delegation is not None and delegation.failure is not None:
            failure = delegation.failure
            plan.hazards.append(Hazard(failure.op, "delegation", Outcome.FAILS, failure.reason))
        for part in plan.partitions:
            plan.hazards += self._hazards(part)
        for tensor in sorted(delegation.unwritten if delegation else ()):
            reader = self.graph.consumers(tensor)[0]
            plan.hazards.append(
                Hazard(reader.index, "unwritten-weights", Outcome.WRONG_RESULTS, "it reads weights that nobody unpacks")
            )
        outcomes = {h.outcome for h in plan.hazards}
        if Outcome.FAILS in outcomes:
            plan.outcome = Outcome.FAILS
        elif outcomes:
            plan.outcome = Outcome.WRONG_RESULTS
        elif any(k.is_spmm for k in plan.kernels):
            plan.outcome = Outcome.SPARSE

    def _hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        run = part.execution
        if run is None:
            return
        yield from self._fp16_hazards(part)
        fatal = [t for t in run.troubles if t.fatal]
        if fatal:
            yield from (Hazard(t.node.op, t.kind, Outcome.FAILS, t.text) for t in fatal)
            return
        producers = part.subgraph.producers()
        outputs = [
            v
            for v in part.subgraph.values
            if v.external_output and v.id in producers and (v.tensor is None or v.tensor in self._mattering)
        ]
        if any(run.states[v.id].order is Order.LOST for v in outputs):
            yield from (Hazard(t.node.op, t.kind, Outcome.WRONG_RESULTS, t.text) for t in run.troubles)
        for value in outputs:
            state, op = run.states[value.id], part.subgraph.nodes[producers[value.id]].op
            yield from self._shape_hazards(value, state, op)
            if state.order is Order.NCHW and not is_order_free(value.shape):
                yield Hazard(op, "boundary", Outcome.WRONG_RESULTS, "its output leaves the cluster in NCHW order")

    @cached_property
    def _mattering(self) -> set[int]:
        """Tensors on which an output of the model depends; nobody sees what happens to the others."""
        mattering: set[int] = set()
        pending = [t for t in self.graph.outputs if t >= 0]
        while pending:
            tensor = pending.pop()
            if tensor not in mattering:
                mattering.add(tensor)
                producer = self.graph.producer(tensor)
                pending += [t for t in producer.inputs if t >= 0] if producer else []
        return mattering

    def _fp16_hazards(self, part: PartitionPlan) -> Iterable[Hazard]:
        """NCHW convolutions of fp16 values are created as fp32 ones, or with filters that are read as fp32."""
        if self.profile["fp16_inference"] != "breaks":
            return
        values = part.subgraph.values
        for node in part.subgraph.nodes:
            if node.type not in CONVOLUTION_NODES or not values[node.outputs[0]].nchw:
                continue
            if values[node.outputs[0]].dtype == "fp16":
                as_fp32 = values[node.inputs[1]].dtype == "fp32"
                outcome = Outcome.FAILS if as_fp32 else Outcome.WRONG_RESULTS
                yield Hazard(node.op, "fp16", outcome, "in fp16 arithmetic this runtime's sparse kernels are broken")

    def _shape_hazards(self, value: Value, state: State, op: int) -> Iterable[Hazard]:
        """What follows from an output of a partition that has another shape at run time than in the model."""
        shape = state.shape
        if shape == value.shape or value.tensor is None:
            return
        resized = self.profile["output_buffers"] == "resized"
        if resized and math.prod(shape) > value.elements:
            text = f"it makes an output of {math.prod(shape)} elements instead of {value.elements}"
            yield Hazard(op, "overflow", Outcome.WRONG_RESULTS, text)
        elif state.elements > value.elements:
            text = f"it writes {state.elements} elements into a buffer of {value.elements}"
            yield Hazard(op, "overflow", Outcome.FAILS, text)
        from .shape_math import impossible_reshapes, misled_readers

        for reader, wrong in impossible_reshapes(self.graph, value.tensor, shape):
            text = f"it gets the shape {wrong}, which comes from the shape {list(shape)} of a pooling with keepdims"
            yield Hazard(reader.index, "shape", Outcome.FAILS, text)
        for reader in misled_readers(self.graph, value.tensor):
            if self._mattering.intersection(reader.outputs) and not self._is_inside(reader, op):
                text = f"it gets the shape {list(shape)} of a pooling with keepdims instead of {list(value.shape)}"
                outcome = Outcome.FAILS if reader.type in CHANNEL_CHECKING else Outcome.WRONG_RESULTS
                yield Hazard(reader.index, "shape", outcome, text)

    def _is_inside(self, reader: Operator, op: int) -> bool:
        """Whether two operators are in the same partition, where `execution` follows what one gives the other."""
        delegation, _ = self._prepare(frozenset())
        return any({reader.index, op} <= set(part.ops) for part in delegation.partitions)

    def summarize(self, plan: Plan) -> Summary:
        """Totals of a plan."""
        spmm = plan.spmm_ops
        pointwise = {op.index: op for op in self.graph.operators if is_pointwise(self.graph, op)}
        pointwise |= {i: self.graph.operators[i] for i in spmm}
        macs = {i: pointwise_macs(self.graph, op) for i, op in pointwise.items()}
        params = zeros = 0
        for op in pointwise.values():
            count, zero = self.weight_zeros(op)
            params, zeros = params + count, zeros + zero
        return Summary(
            pointwise_convs=len(pointwise),
            spmm=len(spmm),
            pointwise_macs=sum(macs.values()),
            spmm_macs=sum(macs[i] for i in spmm),
            pointwise_params=params,
            pointwise_zeros=zeros,
            partitions=len(plan.delegation.partitions) if plan.delegation else 0,
        )

    def weight_zeros(self, op: Operator) -> tuple[int, int]:
        """(elements, zeros) of an operator's filter, whatever runs it."""
        from xnnlint.weights import measure

        measured = measure(self.graph, op.inputs[1])
        if measured is None:  # A filter that is computed at run time.
            return math.prod(self.graph.tensors[op.inputs[1]].shape), 0
        return measured.elements, measured.zeros


def is_profiled(node: Node, subgraph: Subgraph) -> bool:
    """Whether the profiler lists a node's operator. Of a split it names the first part, and only if somebody reads it.

    Source: google/XNNPACK src/runtime.c `xnn_get_runtime_profiling_info`, src/subgraph/even-split.c.
    """
    if node.params.get("assumed"):
        return False
    first = node.outputs[0]
    return node.type != NodeType.EVEN_SPLIT or (
        subgraph.values[first].external_output or any(first in other.inputs for other in subgraph.nodes)
    )


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


def _insert_exit(subgraph: Subgraph, value: Value, own: dict[int, Judgement]) -> None:
    """Let every reader outside the cluster read a value through a cluster end."""
    position = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.outputs), None)
    if position is None:
        return
    ended = subgraph.new_value(value.dtype, value.shape, external_output=value.external_output)
    value.external_output = False
    for node in subgraph.nodes:
        if value.id in node.inputs and id(node) in own and not own[id(node)][1].layout:
            node.inputs = [ended.id if v == value.id else v for v in node.inputs]
    op = subgraph.nodes[position].op
    end = Node(NodeType.DEPTH_TO_SPACE_2D, [value.id], [ended.id], op, params={"assumed": True})
    subgraph.nodes.insert(position + 1, end)


def _insert_reshape(subgraph: Subgraph, value: Value) -> None:
    """Let every reader read a value through a RESHAPE that keeps its shape."""
    position = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.outputs), None)
    if position is None:
        return
    reshaped = subgraph.new_value(value.dtype, value.shape, external_output=value.external_output)
    value.external_output = False
    for node in subgraph.nodes:
        node.inputs = [reshaped.id if v == value.id else v for v in node.inputs]
    op = subgraph.nodes[position].op
    params = {"assumed": True, "new_shape": value.shape}
    subgraph.nodes.insert(position + 1, Node(NodeType.RESHAPE, [value.id], [reshaped.id], op, params=params))


def _insert_entry(subgraph: Subgraph, value: Value) -> None:
    """Let every reader read a value through a stem that enters the cluster."""
    first = next((n for n, node in enumerate(subgraph.nodes) if value.id in node.inputs), None)
    if first is None:
        return
    entered = subgraph.new_value(value.dtype, value.shape)
    op = subgraph.nodes[first].op
    for node in subgraph.nodes:
        node.inputs = [entered.id if v == value.id else v for v in node.inputs]
    stem = Node(NodeType.CONVOLUTION_2D, [value.id], [entered.id], op, params=dict(_ASSUMED_STEM))
    subgraph.nodes.insert(first, stem)


_ASSUMED_STEM = {
    "kernel": (3, 3),
    "stride": (2, 2),
    "dilation": (1, 1),
    "padding": (1, 1, 1, 1),
    "same_padding": False,
    "groups": 1,
    "group_input_channels": 3,
    "group_output_channels": 3,
    "assumed": True,
}
