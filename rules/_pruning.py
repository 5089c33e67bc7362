"""Whether a model, or a part of it, was pruned at all; asked by the rules about weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from xnnlint.model.converter_storage import WEIGHTED
from xnnlint.model.graph import Graph, Operator
from xnnlint.model.weights import MAX_DECODED_BYTES, dense_values, measure, trace
from xnnlint.xnnpack.ir import Node, NodeType
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, Cluster
from xnnlint.xnnpack.plan import PartitionPlan, Plan, is_pointwise, pointwise_ops

from ._branches import capable

# A larger share of zeros than training leaves behind by itself; below it a model counts as not pruned yet.
PRUNED_SHARE = 0.10
# Blocks of n-by-m pruning; hardly more zeros than the pattern makes are taken for chance.
_PATTERN_SIZES = (4, 8, 2, 16)
_SAME_SHARE = 0.95
THRESHOLD = f"{100 * NUMERATOR / DENOMINATOR:.1f}%"


class Weights(Struct, frozen=True):
    """Filters of 1x1 convolutions: operator index -> (elements, zeros)."""

    by_op: dict[int, tuple[int, int]]

    @property
    def elements(self) -> int:
        return sum(e for e, _ in self.by_op.values())

    @property
    def zeros(self) -> int:
        return sum(z for _, z in self.by_op.values())

    @property
    def share(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0

    @property
    def are_pruned(self) -> bool:
        return self.share >= PRUNED_SHARE


class Others(NamedTuple):
    """Pruned kernels that SpMM never reads.

    Attributes:
        what: what they are, in the plural: "3x3 kernels".
        elements, zeros: of all of them.
    """

    what: str
    elements: int
    zeros: int


def others_pruned(plan: Plan) -> Others | None:
    """The kernels of a model that are pruned and are none of plain 1x1 convolutions; None where there are none."""
    graph, pointwise = plan.graph, {*pointwise_ops(plan.graph), *plan.spmm_ops}
    counted: dict[str, list[tuple[int, int]]] = {}
    for op in graph.operators:
        if op.type not in WEIGHTED or op.index in pointwise or graph.input_tensor(op, 1) is None:
            continue
        measured = measure(graph, op.inputs[1])
        if measured is not None and measured.zero_share > NUMERATOR / DENOMINATOR / 2:
            counted.setdefault(_what(graph, op), []).append((measured.elements, measured.zeros))
    if not counted:
        return None
    found = [pair for pairs in counted.values() for pair in pairs]
    what = " and ".join(filter(None, (", ".join([*counted][:-1]), [*counted][-1])))
    return Others(what, sum(e for e, _ in found), sum(z for _, z in found))


def _what(graph: Graph, op: Operator) -> str:
    shape = graph.tensors[op.inputs[1]].shape
    if op.type == "FULLY_CONNECTED" or len(shape) != 4:
        return "fully-connected weights"
    if op.type == "DEPTHWISE_CONV_2D":
        return "depthwise kernels"
    return f"{shape[1]}x{shape[2]} kernels" + (" with a stride or groups" if shape[1:3] == (1, 1) else "")


def pattern_of(plan: Plan, ops: Iterable[int]) -> tuple[int, int] | None:
    """(n, m) where n of every m neighbours of all weights are zero, and hardly more; None without such a pattern.

    Source: tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_utils.py,
    `m_by_n_sparsity_mask`: blocks of a kernel's input channels.
    """
    patterns = {_pattern(plan.graph, plan.graph.operators[op].inputs[1]) for op in ops}
    return patterns.pop() if len(patterns) == 1 else None


def _pattern(graph: Graph, tensor: int) -> tuple[int, int] | None:
    source, _ = trace(graph, tensor)
    if source is None or source.stored_bytes > MAX_DECODED_BYTES:
        return None
    are_zero = dense_values(source, MAX_DECODED_BYTES) == 0
    if not are_zero.size:
        return None
    rows = are_zero.reshape(are_zero.shape[0], -1)
    for size in _PATTERN_SIZES:
        for blocks in (rows, rows.T):
            whole = blocks.shape[1] // size * size
            if not whole:
                continue
            least = int(blocks[:, :whole].reshape(-1, size).sum(axis=1).min())
            if least and least / size >= _SAME_SHARE * rows.mean():
                return least, size
    return None


def lacking(zeros: int, elements: int) -> int:
    """How many more zeros it takes to pass it."""
    return elements * NUMERATOR // DENOMINATOR + 1 - zeros


def weights_of(plan: Plan, ops: list[int]) -> Weights:
    assert plan.planner is not None
    return Weights({op: plan.planner.weight_zeros(plan.graph.operators[op]) for op in ops})


def weighted_nodes(part: PartitionPlan, cluster: Cluster) -> list[Node]:
    """The nodes of a cluster whose weights count in the two-thirds test."""
    nodes = [part.nodes[n] for n in cluster.nodes]
    return [n for n in nodes if n.type == NodeType.FULLY_CONNECTED or n.params.get("kernel") == (1, 1)]


def counted_ops(plan: Plan, part: PartitionPlan) -> list[int]:
    """1x1 convolutions, and fully-connected operators that read what could be part of a cluster."""
    found = {op for op in part.partition.ops if is_pointwise(plan.graph, plan.graph.operators[op])}
    for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
        if node.type == NodeType.FULLY_CONNECTED and verdict.layout and capable(part, node.inputs[0]):
            found.add(node.op)
    return sorted(found)


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"
