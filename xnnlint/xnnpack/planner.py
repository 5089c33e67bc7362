"""Planning: delegation, lowering, rewrites, layouts and kernels of a model, again and again under assumptions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import astuple

from xnnlint.model.graph import Graph, Model, Operator
from xnnlint.model.macs import pointwise_macs
from xnnlint.xnnpack.assumed_nodes import insert_assumed_ends
from xnnlint.xnnpack.calls import calls_of
from xnnlint.xnnpack.claims import delegate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.node_condition import Verdict
from xnnlint.xnnpack.conditions.registry import Judgement, judge
from xnnlint.xnnpack.define import define
from xnnlint.xnnpack.delegate.delegation import Delegation, Failure, Partition
from xnnlint.xnnpack.execution import execute
from xnnlint.xnnpack.fault import Fault, Wrong
from xnnlint.xnnpack.fp16 import can_become_fp16, to_fp16, uses_fp16
from xnnlint.xnnpack.inlining import inlined
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph
from xnnlint.xnnpack.kernels import kernel_name
from xnnlint.xnnpack.layout import decide_layouts
from xnnlint.xnnpack.loading import refusals
from xnnlint.xnnpack.outcome import OutcomeJudge
from xnnlint.xnnpack.plan import (
    Called,
    Kernel,
    Outcome,
    PartitionPlan,
    Plan,
    Summary,
    is_pointwise,
    worst,
)
from xnnlint.xnnpack.profile import Profile
from xnnlint.xnnpack.reach import Reach
from xnnlint.xnnpack.rewrites import inline_quantization, optimize
from xnnlint.xnnpack.waiver import (
    CPU,
    ENCODED,
    FLOAT,
    FP32,
    PRUNED_SHARE,
    STORED_DENSE,
    WHOLE_MODEL,
    Waiver,
    WaiverKind,
)

if TYPE_CHECKING:
    import numpy as np

KEPT_NODES = 100_000
"""Decisions on a partition are kept as long as they have no more nodes than this together."""
POINTWISE_NODES = (NodeType.FULLY_CONNECTED, NodeType.CONVOLUTION_2D)
WEIGHTED_KERNELS = ("Convolution", "Fully Connected", "Deconvolution")


def make_plan(model: Model, profile: Profile, assume: Iterable[Waiver] = ()) -> Plan:
    """What the runtime of a profile does with a model's main subgraph; of several, what the worst of them does."""
    if profile.is_portable:
        return worst([make_plan(model, runtime, assume) for runtime in profile.each()])
    planner = Planner(model, profile)
    plan = planner.plan(assume)
    plan.summary = planner.summarize(plan)
    return plan


class _Prepared(Struct, dict=True):
    """A partition after all rewrites, before any decision."""

    partition: Partition
    subgraph: Subgraph
    judged: list[Judgement]
    decisions: dict[frozenset[Waiver], PartitionPlan] = field(default_factory=dict)

    @cached_property
    def ops(self) -> set[int]:
        return set(self.partition.ops)

    @cached_property
    def unmet(self) -> list[int]:
        """The nodes of which assumptions can say something else than what was judged."""
        return [n for n, judged in enumerate(self.judged) if judged.verdict.unmet or _is_of_floats(judged)]

    @cached_property
    def tensors(self) -> set[int | None]:
        return {v.tensor for v in self.subgraph.values}


class _Claimed(Struct):
    """What the delegate makes of the graph, its partitions prepared; none of them where applying it fails."""

    delegation: Delegation
    failure: Failure | None
    prepared: list[_Prepared] = field(default_factory=list)


class Planner:
    """Plans one model again and again under different assumptions; what they do not touch is done once.

    Args:
        subgraph: which of the file's; None for the main one, whose plan has those of the others, too.
    """

    def __init__(self, model: Model, profile: Profile, subgraph: int | None = None) -> None:
        self.model = model
        graph = model.main if subgraph is None else model.graphs[subgraph]
        self.graph = inlined(model, graph) if profile["composites_inlined"] else graph
        self.profile = profile
        self._claimed: dict[frozenset[Waiver], _Claimed] = {}
        refused = refusals(model, profile) if subgraph is None else []
        self._outcome = OutcomeJudge(self.graph, profile, is_main=subgraph is None, refused=refused)
        self._others = calls_of(model, self.graph) if subgraph is None else []
        self._planners = [Planner(model, profile, call.subgraph) for call in self._others]
        self._called: dict[frozenset[Waiver], list[Called]] = {}
        # By tensor, and how many of its elements count.
        self._zeros: dict[tuple[int, int], int] = {}

    def plan(self, assume: Iterable[Waiver] = ()) -> Plan:
        """The plan under the given assumptions."""
        assumed = frozenset(assume)
        claimed = self._prepare(assumed)
        plan = self._draft(claimed, assumed)
        plan.assumed, plan.planner = assumed, self
        plan.tflite_ops = [entry for entry in claimed.delegation.schedule if isinstance(entry, int)]
        for part in plan.partitions:
            read = {v for node in part.subgraph.nodes for v in node.inputs}
            nodes = (node for node in part.subgraph.nodes if is_profiled(node, part.subgraph, read))
            plan.operators += (self._kernel(part, node) for node in nodes)
        plan.kernels = [k for k in plan.operators if k.kernel.startswith(WEIGHTED_KERNELS)]
        self._outcome.judge(plan)
        return plan

    def spmm(self, assume: Iterable[Waiver]) -> frozenset[int]:
        """Operators that would run SpMM with right results; empty where the model would not be sparse and right.

        What is wrong sparse or dense (an output that LiteRT cannot bind) is left aside: it is mended by itself.

        The same answer as from `plan`, without the rest of it.
        """
        assumed = frozenset(assume)
        as_it_is = self._prepare(frozenset()).delegation
        if not as_it_is.sparse_weights and ENCODED not in assumed:
            return frozenset()
        claimed = self._prepare(assumed)
        if not any(self._sparse_mode(part.subgraph, assumed) for part in claimed.prepared):
            return frozenset()
        plan = self._draft(claimed, assumed)
        self._outcome.judge(plan)
        if any(hazard.of_sparse_path for hazard in plan.hazards):
            return frozenset()
        return frozenset(
            node.op
            for part in plan.partitions
            for node in part.subgraph.nodes
            if node.type in POINTWISE_NODES
            and all(part.subgraph.values[v].nchw for v in (node.inputs[0], *node.outputs))
        )

    def is_right(self, assume: Iterable[Waiver]) -> bool:
        """Whether the model would run, and give right results, as far as the sparse path goes."""
        assumed = frozenset(assume)
        plan = self._draft(self._prepare(assumed), assumed)
        self._outcome.judge(plan)
        return not any(hazard.of_sparse_path for hazard in plan.hazards)

    def reach(self, assume: Iterable[Waiver] = ()) -> Reach:
        """What changes of single operators bring or cost where some assumptions hold already."""
        assumed = frozenset(assume)
        return Reach([self._decided(part, assumed) for part in self._prepare(assumed).prepared])

    def _draft(self, claimed: _Claimed, assumed: frozenset[Waiver]) -> Plan:
        """A plan whose partitions are decided, and nothing else."""
        plan = Plan(self.model, self.graph, self.profile, Outcome.DENSE)
        plan.delegation, plan.failure = claimed.delegation, claimed.failure
        plan.partitions = [self._decided(part, assumed) for part in claimed.prepared]
        plan.called = self._planned_calls(assumed)
        return plan

    def _planned_calls(self, assumed: frozenset[Waiver]) -> list[Called]:
        """The other subgraphs; of the assumptions only those about the whole model are about them, too."""
        whole = frozenset(w for w in assumed if w.place == WHOLE_MODEL)
        if whole not in self._called:
            pairs = zip(self._others, self._planners, strict=True)
            self._called[whole] = [Called(c.subgraph, c.role, c.op, planner.plan(whole)) for c, planner in pairs]
        return self._called[whole]

    def _sparse_mode(self, subgraph: Subgraph, assumed: frozenset[Waiver]) -> bool:
        hint = (subgraph.sparse_hint or ENCODED in assumed) and STORED_DENSE not in assumed
        return hint and (self.profile.sparse_cpu or CPU in assumed)

    def _prepare(self, assumed: frozenset[Waiver]) -> _Claimed:
        """Delegation, lowering and rewrites, once for each set of operators assumed to be delegated."""
        claims = frozenset(w for w in assumed if w.kind is WaiverKind.DELEGATED or w in (FP32, FLOAT))
        if claims not in self._claimed:
            delegation = delegate(self.graph, self.profile, claims)
            defined = define(self.graph, delegation, self.profile)
            claimed = _Claimed(delegation, None if FLOAT in claims else defined.failure)
            defines = claimed.failure is None
            for partition, subgraph in zip(delegation.partitions, defined.subgraphs, strict=True) if defines else ():
                crash = self._rewrite(subgraph, claims)
                if crash is not None:
                    claimed.failure = Failure(crash.op, Fault(Wrong.ONLY_READER_REMOVED))
                judged = [judge(node, subgraph, self.profile) for node in subgraph.nodes]
                claimed.prepared.append(_Prepared(partition, subgraph, judged))
            self._claimed[claims] = claimed
            if len(self._claimed) > max(3, KEPT_NODES // (len(self.graph.operators) + 1)):
                del self._claimed[next(c for c in self._claimed if c)]  # That without assumptions is asked for always.
        return self._claimed[claims]

    def _rewrite(self, subgraph: Subgraph, claims: frozenset[Waiver]) -> Node | None:
        """What comes before the layout pass; gives the node at which the runtime crashes, if it does."""
        in_fp16 = uses_fp16(self.model.metadata, self.profile) and FP32 not in claims
        fp16 = self.profile["fp16_inference"] if in_fp16 else None
        if FLOAT in claims:
            self._unpack_integers(subgraph)
        if fp16 == "dense":
            to_fp16(subgraph, by_delegate=True)
        crash = optimize(subgraph, self.profile)
        if fp16 in ("breaks", "sparse") and can_become_fp16(subgraph):
            to_fp16(subgraph, by_delegate=False)
        return crash

    def _unpack_integers(self, subgraph: Subgraph) -> None:
        """Give integer weights behind DENSIFY the data that the runtime never finds, as if they were float."""
        for value in subgraph.values:
            tensor = value.tensor
            if value.dtype.startswith("qcint") and value.data is None and tensor is not None:
                value.data = partial(_decoded, self.graph, tensor)

    def _decided(self, prepared: _Prepared, assumed: frozenset[Waiver]) -> PartitionPlan:
        """`_decide`, once for each set of assumptions that touches the partition."""
        ops, tensors = prepared.ops, prepared.tensors
        touching = frozenset(
            w for w in assumed if w.place == WHOLE_MODEL or w.place in (tensors if w.kind.is_of_tensor else ops)
        )
        known = prepared.decisions
        if touching not in known:
            known[touching] = self._decide(prepared, touching)
            # A search asks for very many; those of a large partition would fill the memory.
            if len(known) > max(2, KEPT_NODES // (len(prepared.subgraph.nodes) + 1)):
                del known[next(iter(known))]
        return known[touching]

    def _decide(self, prepared: _Prepared, assumed: frozenset[Waiver]) -> PartitionPlan:
        """Decide on the layouts of one partition."""
        subgraph = prepared.subgraph.copy()
        own = {id(node): judged for node, judged in zip(subgraph.nodes, prepared.judged, strict=True)}
        known = dict(own)
        for node in [subgraph.nodes[n] for n in prepared.unmet]:
            known[id(node)] = self._assume(node, subgraph, own[id(node)], assumed)
        once = {w.place for w in assumed if w.kind is WaiverKind.ONCE}
        for node in subgraph.nodes:
            if node.op in once and len(set(node.inputs)) < len(node.inputs):
                node.inputs = node.inputs[:1]
                node.type, node.operator = NodeType.UNARY, "assumed"
        insert_assumed_ends(subgraph, own, assumed)
        judged = [known.get(id(node)) or judge(node, subgraph, self.profile) for node in subgraph.nodes]
        verdicts = [j.verdict for j in judged]
        decision = decide_layouts(subgraph, verdicts, lambda node: self._weights(node, subgraph, assumed))
        sparse_mode = self._sparse_mode(subgraph, assumed)
        if not sparse_mode:
            for value in subgraph.values:
                value.nchw = False
        nodes, conditions = list(subgraph.nodes), [j.condition for j in judged]
        part = PartitionPlan(prepared.partition, subgraph, nodes, conditions, sparse_mode, decision)
        inline_quantization(subgraph, self.profile)
        if any(v.nchw for v in subgraph.values):
            waived = {w.place for w in assumed if w.kind in (WaiverKind.COMPATIBLE, WaiverKind.DELEGATED)}
            part.execution = execute(subgraph, self.profile, waived)
        return part

    def _assume(self, node: Node, subgraph: Subgraph, judged: Judgement, assumed: frozenset[Waiver]) -> Judgement:
        """A node's judgement with the assumptions about it in place."""
        if _is_of_floats(judged):
            if FLOAT not in assumed:
                return judged  # Whatever takes its place is quantized as it is.
            judged = judge(node, subgraph, self.profile, of_its_kind=True)
            if node.operator == "convert":
                return Judgement(judged.condition, Verdict(Layout.NCHW))  # A float model has none of these.
        if judged.verdict.unmet and Waiver(WaiverKind.COMPATIBLE, node.op) in assumed:
            return Judgement(judged.condition, Verdict(judged.condition.layout))
        return judged

    def _weights(self, node: Node, subgraph: Subgraph, assumed: frozenset[Waiver]) -> tuple[int, int]:
        """(elements, zeros) of a node's weights as `xnn_subgraph_rewrite_for_nchw` counts them."""
        filter_value = subgraph.values[node.inputs[1]]
        # Weights without dimensions are there only where an operator is assumed to be taken that lacks them.
        params = filter_value.shape[0] * filter_value.shape[-1] if filter_value.shape else 1
        least = int(PRUNED_SHARE * params) if Waiver(WaiverKind.PRUNED, node.op) in assumed else 0
        if filter_value.tensor is None or not filter_value.is_static:
            return params, least
        key = filter_value.tensor, params
        if key not in self._zeros:
            from xnnlint.model.weights import zeros_among_first

            self._zeros[key] = zeros_among_first(self.graph, *key)
        return params, max(least, self._zeros[key])

    def _kernel(self, part: PartitionPlan, node: Node) -> Kernel:
        op = self.graph.operators[node.op]
        nchw = any(part.subgraph.values[v].nchw for v in node.outputs)
        kernel = kernel_name(node, part.subgraph, self.profile)
        return Kernel(op.index, op.name, op.custom_code or op.type, kernel, part.partition.index, nchw)

    def summarize(self, plan: Plan) -> Summary:
        """Totals of a plan."""
        parts = [self._totals(plan)]
        parts += [p._totals(c.plan) for p, c in zip(self._planners, plan.called, strict=True) if c.op is not None]
        return Summary(*(sum(column) for column in zip(*map(astuple, parts), strict=True)))

    def _totals(self, plan: Plan) -> Summary:
        """Of one subgraph."""
        from xnnlint.model.weights import measure

        spmm = plan.spmm_ops
        pointwise = {op.index: op for op in self.graph.operators if is_pointwise(self.graph, op)}
        pointwise |= {i: self.graph.operators[i] for i in spmm}
        macs = {i: pointwise_macs(self.graph, op) for i, op in pointwise.items()}
        params = zeros = 0
        for op in pointwise.values():
            if measure(self.graph, op.inputs[1]) is not None:  # Of a filter that is computed nobody knows the zeros.
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
        from xnnlint.model.weights import measure

        measured = measure(self.graph, op.inputs[1])
        if measured is None:  # A filter that is computed at run time.
            return math.prod(self.graph.tensors[op.inputs[1]].shape), 0
        return measured.elements, measured.zeros


def _is_of_floats(judged: Judgement) -> bool:
    return judged.condition.key is Condition.FLOAT_VALUES


def _decoded(graph: Graph, tensor: int) -> np.ndarray:
    from xnnlint.model.weights import decode

    return decode(graph, tensor).reshape(-1)


def is_profiled(node: Node, subgraph: Subgraph, read: set[int]) -> bool:
    """Whether the profiler lists a node's operator. A split has one for each part that somebody reads, and the profiler
    lists the first of them.

    Args:
        read: ids of the values that nodes of the subgraph read.

    Source: google/XNNPACK src/runtime.c `xnn_get_runtime_profiling_info`, src/subgraph/even-split.c.
    """
    if node.params.get("assumed"):
        return False
    return node.type != NodeType.EVEN_SPLIT or any(
        subgraph.values[part].external_output or part in read for part in node.outputs
    )
