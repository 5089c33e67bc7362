"""Where values leave a cluster, asked by the rules about cluster ends."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.delegate.rejection import Objection
from xnnlint.xnnpack.execution import is_order_free
from xnnlint.xnnpack.ir import Layout, Node, Value
from xnnlint.xnnpack.plan import PartitionPlan, Plan

BY_SELECTION = (
    "take the channels by 1x1 convolutions of zeros and ones; or, where depthwise convolutions of several sizes read "
    "them, use a single one of the largest size, up to 5x5, for all channels"
)
_TAKING = ("SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "GATHER")


class OpenBranch(Struct, frozen=True):
    """A map that leaves the part of a partition that can run in NCHW without a pooling or DEPTH_TO_SPACE.

    Attributes:
        value: the last value of the branch that NCHW operators produce.
        node: the node that writes it.
        output: the output of the partition that it leads to.
        reader: the node that reads it on that way; None where it is the output itself.
    """

    value: Value
    node: Node
    output: Value
    reader: Node | None

    @property
    def tensor(self) -> int:
        """The value's tensor; a branch without one is none."""
        assert self.value.tensor is not None
        return self.value.tensor


def ends(part: PartitionPlan) -> list[Node]:
    """The nodes of a partition that can end a cluster."""
    return [n for n, v in zip(part.nodes, part.decision.verdicts, strict=True) if v.layout & Layout.EXIT]


def open_branches(part: PartitionPlan) -> Iterator[OpenBranch]:
    """Every way from an output of the partition upwards that meets NCHW operators before it meets a cluster end."""
    values = part.subgraph.values
    producers = part.writers
    found: set[int] = set()
    seen: set[int] = set()  # Of all outputs: what lies above a value is the same whichever output leads to it.
    for output in values:
        if not output.external_output:
            continue
        pending: list[tuple[int, Node | None]] = [(output.id, None)]
        while pending:
            v, reader = pending.pop()
            if v in seen or v not in producers:
                continue
            seen.add(v)
            node, verdict = part.nodes[producers[v]], part.decision.verdicts[producers[v]]
            if verdict.layout & Layout.EXIT:
                continue
            if verdict.layout and is_map(values[v]):
                if v not in found and values[v].tensor is not None:
                    found.add(v)
                    yield OpenBranch(values[v], node, output, reader)
                continue
            pending += [(i, node) for i in node.inputs if not values[i].is_static]


def is_map(value: Value) -> bool:
    """Whether a value has more than one pixel."""
    return value.rank == 4 and value.shape[1] * value.shape[2] > 1


def leads_to_map(graph: Graph, tensor: int) -> bool:
    """Whether anything that is computed from a tensor is a map of more than one pixel again."""
    pending, seen = [tensor], {tensor}
    while pending:
        for reader in graph.consumers(pending.pop()):
            for output in (t for t in reader.outputs if t >= 0 and t not in seen):
                if has_pixels(graph, output):
                    return True
                seen.add(output)
                pending.append(output)
    return False


def meets_map(graph: Graph, tensor: int) -> bool:
    """Whether a pooled value, or what is computed from it, is combined with a map of more than one pixel."""
    pending, seen = [tensor], {tensor}
    while pending:
        for reader in graph.consumers(pending.pop()):
            others = [t for t in reader.inputs if t >= 0 and t not in seen]
            if any(has_pixels(graph, t) and not _is_stored(graph, t) for t in others):
                return True
            for output in (t for t in reader.outputs if t >= 0 and t not in seen and not has_pixels(graph, t)):
                seen.add(output)
                pending.append(output)
    return False


def _is_stored(graph: Graph, tensor: int) -> bool:
    """Whether a tensor is a constant, or one that is unpacked."""
    producer = graph.producer(tensor)
    if producer is not None and producer.type in ("DENSIFY", "DEQUANTIZE"):
        return _is_stored(graph, producer.inputs[0])
    return graph.tensors[tensor].is_constant


def has_pixels(graph: Graph, tensor: int) -> bool:
    """Whether a tensor of the graph is a map of more than one pixel."""
    shape = graph.tensors[tensor].shape
    return len(shape) == 4 and shape[1] * shape[2] > 1


def takes_channels(graph: Graph, op: Operator) -> bool:
    """Whether an operator takes some of the channels of a map, and all of its pixels."""
    if op.type not in _TAKING or not op.outputs:
        return False
    source = graph.tensors[op.inputs[1 if op.type == "SPLIT" else 0]].shape
    parts = [graph.tensors[t].shape for t in op.outputs]
    return all(len(p) == 4 and p[:3] == source[:3] and p[3:] != source[3:] for p in parts)


def is_read_inside(part: PartitionPlan, value: Value) -> bool:
    """Whether operators that can run in NCHW read a value that is given out as a map, too."""
    return value.external_output and not is_order_free(value.shape) and value.id in part.read_inside


def is_pooled_by_tflite(plan: Plan, value: Value) -> bool:
    """Whether a pooling reads a value that this runtime does not take, since it drops its dimensions."""
    rejected = plan.delegation.rejected if plan.delegation else {}
    readers = plan.graph.consumers(value.tensor) if value.tensor is not None else []
    return any(op.index in rejected and rejected[op.index].condition is Objection.KEEP_DIMS for op in readers)


def capable(part: PartitionPlan, value: int) -> bool:
    """Whether a node that can run in NCHW computes a value, so that its reader would be part of a cluster."""
    writer = part.writers.get(value)
    return writer is not None and bool(part.decision.verdicts[writer].layout & (Layout.NCHW | Layout.ENTRY))


def pointwise_in(plan: Plan, part: PartitionPlan) -> bool:
    """Whether a partition has any weights that SpMM could run."""
    return any(n.type == "fully_connected" or n.params.get("kernel") == (1, 1) for n in part.nodes)
