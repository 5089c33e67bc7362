"""Planning: delegation, lowering, rewrites, layouts and kernels of a model, again and again under assumptions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from xnnlint.xnnpack.assumed_nodes import Judgement, insert_assumed_ends
from xnnlint.xnnpack.delegate.claims import Delegation, Failure, Partition, delegate
from xnnlint.xnnpack.execution import execute
from xnnlint.xnnpack.fp16 import can_become_fp16, to_fp16, uses_fp16
from xnnlint.xnnpack.ir import Layout, Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.kernels import kernel_name
from xnnlint.xnnpack.layout import decide_layouts
from xnnlint.xnnpack.lower.lowering import lower
from xnnlint.xnnpack.outcome import OutcomeJudge
from xnnlint.xnnpack.plan import (
    FLOAT,
    FP32,
    STORED_DENSE,
    WHOLE_MODEL,
    Kernel,
    Outcome,
    PartitionPlan,
    Plan,
    Summary,
    Waiver,
    is_pointwise,
    pointwise_macs,
)
from xnnlint.xnnpack.rewrites import inline_quantization, optimize

if TYPE_CHECKING:
    from xnnlint.model.graph import Model, Operator
    from xnnlint.xnnpack.profile import Profile

OF_TENSORS = ("exit", "entry", "reshape")
# Rules that assumptions treat in a way of their own.
QUANTIZED, STEM, REDUCE = "XNN100", "XNN101", "XNN109"
POINTWISE_NODES = (NodeType.FULLY_CONNECTED, NodeType.CONVOLUTION_2D)
WEIGHTED_KERNELS = ("Convolution", "Fully Connected", "Deconvolution")


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
        self._outcome = OutcomeJudge(self.graph, profile)

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
        self._outcome.judge(plan)
        return plan

    def spmm(self, assume: Iterable[Waiver]) -> frozenset[int]:
        """Operators that would run SpMM with right results; empty where the model would not be sparse and right.

        What is wrong sparse or dense (an output that LiteRT cannot bind) is left aside: it is mended by itself.

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

    def _sparse_mode(self, subgraph: Subgraph, assumed: frozenset[Waiver]) -> bool:
        hint = subgraph.sparse_hint or ("encoded", WHOLE_MODEL) in assumed
        if STORED_DENSE in assumed:
            return False
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
        from xnnlint.model.weights import decode

        for value in subgraph.values:
            tensor = value.tensor
            if value.dtype.startswith("qcint") and value.data is None and tensor is not None:
                value.data = lambda tensor=tensor: decode(self.graph, tensor).reshape(-1)

    def _decided(self, prepared: _Prepared, assumed: frozenset[Waiver]) -> PartitionPlan:
        """`_decide`, once for each set of assumptions that touches the partition."""
        ops, tensors = prepared.ops, prepared.tensors
        touching = frozenset(
            (kind, i) for kind, i in assumed if i == WHOLE_MODEL or (i in tensors if kind in OF_TENSORS else i in ops)
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
        insert_assumed_ends(subgraph, own, assumed)
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

    def _judge(self, node: Node, subgraph: Subgraph, ignored: str = "") -> Judgement:
        """The rule that judges a node, and what it says."""
        from xnnlint.linter.rule import node_rules

        rule = next(r for r in node_rules() if r.code != ignored and r.applies(node, subgraph))
        return rule, rule.judge(node, subgraph, self.profile)

    def _assume(self, node: Node, subgraph: Subgraph, judged: Judgement, assumed: frozenset[Waiver]) -> Judgement:
        """A node's judgement with the assumptions about it in place."""
        from xnnlint.linter.rule import Verdict

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
            from xnnlint.model.weights import count_zeros

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
        from xnnlint.model.weights import measure

        measured = measure(self.graph, op.inputs[1])
        if measured is None:  # A filter that is computed at run time.
            return math.prod(self.graph.tensors[op.inputs[1]].shape), 0
        return measured.elements, measured.zeros


def is_profiled(node: Node, subgraph: Subgraph) -> bool:
    """Whether the profiler lists a node's operator. A split has one for each part that somebody reads, and the profiler
    lists the first of them.

    Source: google/XNNPACK src/runtime.c `xnn_get_runtime_profiling_info`, src/subgraph/even-split.c.
    """
    if node.params.get("assumed"):
        return False
    return node.type != NodeType.EVEN_SPLIT or any(
        subgraph.values[part].external_output or any(part in other.inputs for other in subgraph.nodes)
        for part in node.outputs
    )
