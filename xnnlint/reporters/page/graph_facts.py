"""What a picture of a model shows: every operator with who runs it, and the areas that operators make together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.linter.findings import Severity
from xnnlint.model.converter_storage import WEIGHTED
from xnnlint.model.macs import macs_of
from xnnlint.model.weights import measure
from xnnlint.xnnpack.plan import pointwise_ops

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.model.graph import Graph, Operator, Tensor
    from xnnlint.xnnpack.layout import Cluster
    from xnnlint.xnnpack.plan import Hazard, PartitionPlan, Plan


class KernelClass(Enum):
    """Who runs an operator, and on what order of data."""

    SPMM = "spmm"
    NCHW = "nchw"
    NHWC = "nhwc"
    TFLITE = "tflite"
    NONE = "none"
    """It becomes part of another operator, or nothing is planned since the model fails."""


class Mark(Enum):
    """What is wrong at an operator."""

    WRONG = "wrong"
    """Results go wrong here, or the model fails."""
    BLOCKER = "blocker"
    """A finding here stands between the model and sparse."""
    NOTE = "note"


class OperatorFacts(Struct, frozen=True):
    """One operator of the main subgraph that data goes through.

    Attributes:
        op: its index.
        kernels: what runs, in order, as LiteRT's profiler prints it.
        partition: index of the delegate partition; None where TFLite runs it, or nothing does.
        cluster: place among `GraphFacts.clusters`; None outside of all.
        inputs, outputs: type and shape of each tensor that is computed at run time.
        weights: the shape of its constant weights; () without any.
        elements, zeros: of those weights; None without any, or where they are too large to be counted.
        macs: multiply-accumulates of one inference, zeros counted as other weights are.
        sparse_macs: those with weights that are not zero, where SpMM runs it; `macs` elsewhere.
        is_pointwise: whether it is one of the 1x1 convolutions that the two-thirds test is about.
        findings: places among the report's findings.
        hazards: what goes wrong here.
        mark: the gravest of both; None where there is nothing.
    """

    op: int
    name: str
    type: str
    runs: KernelClass
    kernels: tuple[str, ...]
    partition: int | None
    cluster: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[int, ...]
    elements: int | None
    zeros: int | None
    macs: int
    sparse_macs: int
    is_pointwise: bool
    findings: tuple[int, ...]
    hazards: tuple[Hazard, ...]
    mark: Mark | None


class ClusterFacts(Struct, frozen=True):
    """Operators that XNNPACK switches to NCHW together, or not at all.

    Attributes:
        elements, zeros: of the weights that count in the two-thirds test.
        has_enough: whether more than two thirds of them are zero.
        is_broken: whether something else keeps it in NHWC.
        is_nchw: whether it runs in NCHW.
    """

    ops: tuple[int, ...]
    partition: int
    elements: int
    zeros: int
    has_enough: bool
    is_broken: bool
    is_nchw: bool


class GraphFacts(Struct, frozen=True):
    """A model's graph.

    Attributes:
        edges: pairs of operators, the second of which reads what the first writes.
        partitions: the operators of each partition.
    """

    operators: tuple[OperatorFacts, ...]
    edges: tuple[tuple[int, int], ...]
    clusters: tuple[ClusterFacts, ...]
    partitions: tuple[tuple[int, ...], ...]

    @property
    def is_divided(self) -> bool:
        """Whether it is more than one partition, or TFLite runs some of it."""
        return len(self.partitions) > 1 or bool(self.of_class(KernelClass.TFLITE))

    def of_class(self, runs: KernelClass) -> list[OperatorFacts]:
        return [facts for facts in self.operators if facts.runs is runs]


def graph_facts(report: ModelReport) -> GraphFacts:
    """The facts of a model that was read and planned."""
    plan = report.plan
    assert plan is not None, "what could not be read has no graph"
    graph = plan.graph
    constant = _constants(graph)
    shown = [op for op in graph.operators if not set(op.outputs) <= constant]
    clusters = list(_clusters(plan))
    cluster_of = {op: number for number, cluster in enumerate(clusters) for op in cluster.ops}
    lookup = _Lookup(report, plan, cluster_of, constant)
    operators = tuple(lookup.facts(op) for op in shown)
    there = {facts.op for facts in operators}
    partitions: list[tuple[int, ...]] = []
    if plan.delegation is not None and plan.failure is None:
        partitions = [tuple(op for op in part.ops if op in there) for part in plan.delegation.partitions]
    return GraphFacts(operators, tuple(_edges(graph, there)), tuple(clusters), tuple(partitions))


def _constants(graph: Graph) -> set[int]:
    """Constant tensors, and those that are unpacked or computed from such alone."""
    constant = {tensor.index for tensor in graph.tensors if tensor.is_constant or tensor.is_external}
    for op in graph.operators:
        present = [tensor for tensor in op.inputs if tensor >= 0]
        if present and constant.issuperset(present):
            constant.update(op.outputs)
    return constant


def _edges(graph: Graph, there: set[int]) -> Iterator[tuple[int, int]]:
    for op in graph.operators:
        if op.index in there:
            sources = {p.index for t in op.inputs if t >= 0 and (p := graph.producer(t)) is not None}
            yield from ((source, op.index) for source in sorted(sources & there))


def _clusters(plan: Plan) -> Iterator[ClusterFacts]:
    """Those of more than one operator, or with weights that count."""
    for part in plan.partitions:
        nchw = _nchw_ops(part)
        for cluster in part.decision.clusters:
            ops = dict.fromkeys(part.nodes[n].op for n in cluster.nodes if not part.nodes[n].params.get("assumed"))
            if len(ops) > 1 or cluster.params:
                yield _cluster(cluster, tuple(ops), part.partition.index, nchw)


def _cluster(cluster: Cluster, ops: tuple[int, ...], partition: int, nchw: set[int]) -> ClusterFacts:
    return ClusterFacts(
        ops,
        partition,
        int(cluster.params),
        int(cluster.zeros),
        cluster.enough_zeros,
        bool(cluster.broken_by),
        any(op in nchw for op in ops),
    )


def _nchw_ops(part: PartitionPlan) -> set[int]:
    """Operators that read or write a map in NCHW."""
    values = part.subgraph.values
    return {node.op for node in part.subgraph.nodes if any(values[v].nchw for v in (*node.inputs, *node.outputs))}


class _Lookup:
    """What is known of the operators of one model, by operator."""

    def __init__(self, report: ModelReport, plan: Plan, cluster_of: dict[int, int], constant: set[int]) -> None:
        self._graph, self._constant = plan.graph, constant
        self._cluster_of = cluster_of
        self._spmm, self._tflite = plan.spmm_ops, set(plan.tflite_ops)
        self._nchw = set[int]().union(*map(_nchw_ops, plan.partitions))
        self._pointwise = self._spmm | set(pointwise_ops(plan.graph))
        self._kernels = defaultdict[int, list[str]](list)
        self._partition: dict[int, int] = {}
        for kernel in plan.operators:
            self._kernels[kernel.op].append(kernel.kernel)
            self._partition[kernel.op] = kernel.partition
        self._hazards: dict[int, list[Hazard]] = defaultdict(list)
        for hazard in plan.hazards:
            if hazard.op is not None:
                self._hazards[hazard.op].append(hazard)
        self._findings: dict[int, list[tuple[int, Finding]]] = defaultdict(list)
        for number, finding in enumerate(report.findings):
            if finding.location.op is not None and not finding.location.subgraph:
                self._findings[finding.location.op].append((number, finding))

    def facts(self, op: Operator) -> OperatorFacts:
        weights = _weights(self._graph, op)
        elements, zeros = _counted(self._graph, weights)
        macs, index = macs_of(self._graph, op), op.index
        runs = self._runs(index)
        skips = runs is KernelClass.SPMM and elements and zeros is not None
        findings = self._findings[index]
        return OperatorFacts(
            op=index,
            name=op.name,
            type=op.custom_code or op.type,
            runs=runs,
            kernels=tuple(self._kernels[index]),
            partition=self._partition.get(index),
            cluster=self._cluster_of.get(index),
            inputs=tuple(self._tensors(op.inputs)),
            outputs=tuple(self._tensors(op.outputs)),
            weights=() if weights is None else tuple(map(int, weights.shape)),
            elements=elements,
            zeros=zeros,
            macs=int(macs),
            sparse_macs=int(macs * (elements - zeros) / elements) if skips and elements and zeros else int(macs),
            is_pointwise=index in self._pointwise,
            findings=tuple(number for number, _ in findings),
            hazards=tuple(self._hazards[index]),
            mark=_mark([finding for _, finding in findings], bool(self._hazards[index])),
        )

    def _tensors(self, tensors: Iterable[int]) -> Iterator[str]:
        for index in tensors:
            if index >= 0 and index not in self._constant:
                tensor = self._graph.tensors[index]
                sizes = tensor.shape_signature or tensor.shape
                shape = " x ".join("?" if size < 0 else str(size) for size in sizes) if tensor.has_rank else "any shape"
                yield f"{tensor.dtype} {shape or 'scalar'}"

    def _runs(self, op: int) -> KernelClass:
        if op in self._spmm:
            return KernelClass.SPMM
        if op in self._tflite:
            return KernelClass.TFLITE
        if not self._kernels[op]:
            return KernelClass.NONE
        return KernelClass.NCHW if op in self._nchw else KernelClass.NHWC


def _mark(findings: Iterable[Finding], is_hazard: bool) -> Mark | None:
    if is_hazard:
        return Mark.WRONG
    marks = [Mark.BLOCKER if f.severity is Severity.ERROR or f.unlocks is not None else Mark.NOTE for f in findings]
    return min(marks, key=list(Mark).index, default=None)


def _weights(graph: Graph, op: Operator) -> Tensor | None:
    """The weights of an operator, constant or unpacked from constants."""
    return graph.input_tensor(op, 1) if op.type in WEIGHTED else None


def _counted(graph: Graph, weights: Tensor | None) -> tuple[int | None, int | None]:
    if weights is None:
        return None, None
    try:
        measured = measure(graph, weights.index)
    except XnnlintError:  # one that is too large to be decoded
        return None, None
    return (None, None) if measured is None else (int(measured.elements), int(measured.zeros))
