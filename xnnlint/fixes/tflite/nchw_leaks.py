"""Where data in NCHW order would reach an operator, or an output, that knows NHWC only.

XNNPACK never looks where the outputs of a cluster's operators go (google/XNNPACK src/subgraph.c
`xnn_subgraph_rewrite_for_nchw`): a value of the cluster that nobody in it reads stays marked NHWC, and is garbage; one
that somebody inside and somebody outside reads makes the whole cluster dense.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.xnnpack.execution import is_order_free, reduce_in_nchw
from xnnlint.xnnpack.ir import REDUCTIONS, Layout, Node, Value
from xnnlint.xnnpack.plan import PartitionPlan


class Leak(Struct, frozen=True):
    """A value that operators in NCHW compute, and that leaves them.

    Attributes:
        tensor: its index.
        producer: the operator that writes it.
        inside: the operators that could read it in NCHW.
        live: whether the runtime, as it is now, has it in a cluster that runs.
        is_harmless: whether it is right as it is, since a map of one channel is the same in both orders; it only ends
            no cluster.
    """

    tensor: int
    producer: Op
    inside: tuple[Op, ...]
    live: bool
    is_harmless: bool = False


def leaks(view: View) -> list[Leak]:
    """Every leak of the graph, in the order of the plan, if all operators that can run in NCHW did."""
    return [leak for part in view.plan.partitions if part.sparse_mode for leak in _of_partition(view, part)]


def reached(view: View) -> list[Op]:
    """The operators that could run in NCHW once all leaks are mended, whatever zeros there are."""
    found = [view.op(part.nodes[n].op) for part in view.plan.partitions for n in sorted(_reached(part))]
    return [op for op in found if op is not None]


def is_as_planned(view: View) -> bool:
    """Whether nothing was changed since the plan was made, which tells what is reached and where it leaks."""
    operators = view.graph.operators
    planned = [view.planned(op) for op in operators]
    return len(operators) == len(view.plan.graph.operators) and all(
        p is not None and (p.type, list(p.inputs), list(p.outputs)) == (op.type, op.inputs, op.outputs)
        for op, p in zip(operators, planned, strict=True)
    )


def _of_partition(view: View, part: PartitionPlan) -> Iterator[Leak]:
    values, reached = part.subgraph.values, _reached(part)
    readers: dict[int, list[int]] = {}
    for n, node in enumerate(part.nodes):
        for v in set(node.inputs):
            readers.setdefault(v, []).append(n)
    for n in sorted(reached):
        node = part.nodes[n]
        if node.type in REDUCTIONS or not part.decision.verdicts[n].layout & (Layout.NCHW | Layout.ENTRY):
            continue
        for v in node.outputs:
            value = values[v]
            reading = readers.get(v, [])
            # An entry writes NCHW, and reads NHWC.
            inside = [r for r in reading if r in reached and not part.decision.verdicts[r].layout & Layout.ENTRY]
            if value.tensor is None or not (value.external_output or len(inside) < len(reading)):
                continue
            is_harmless = not inside and is_order_free(value.shape)
            if is_harmless and (len(value.shape) != 4 or value.shape[1] * value.shape[2] == 1):
                continue
            leak = _leak(view, part, node, value, {part.nodes[r].op for r in inside}, is_harmless)
            if leak is not None:
                yield leak


def _reached(part: PartitionPlan) -> set[int]:
    """The nodes that could all run in NCHW at once: fed by a stem, with no other operator in between; and ends."""
    values, verdicts = part.subgraph.values, part.decision.verdicts
    producer = {v: n for n, node in enumerate(part.nodes) for v in node.outputs}
    reached: set[int] = set()
    for n, node in enumerate(part.nodes):
        if verdicts[n].layout & Layout.ENTRY:
            reached.add(n)
        elif verdicts[n].layout & (Layout.NCHW | Layout.EXIT) and not _confuses_axes(part, node):
            sources = [v for v in node.inputs if not values[v].is_static]
            fed = all(not values[v].external_input and producer.get(v) in reached for v in sources)
            # What DEPTH_TO_SPACE writes is NHWC.
            ends = any(not verdicts[producer[v]].layout & (Layout.NCHW | Layout.ENTRY) for v in sources if fed)
            if sources and fed and not ends:
                reached.add(n)
    return reached


def _confuses_axes(part: PartitionPlan, node: Node) -> bool:
    if node.type not in REDUCTIONS:
        return False
    source = part.subgraph.values[node.inputs[0]].shape
    if len(source) != 4:
        return True
    kept, right = reduce_in_nchw(source, node.params["axes"], False, False)
    return not right or (kept != part.subgraph.values[node.outputs[0]].shape and not node.params["keep_dims"])


def _leak(
    view: View, part: PartitionPlan, node: Node, value: Value, inside: set[int], is_harmless: bool
) -> Leak | None:
    assert value.tensor is not None
    producer = view.graph.producer(value.tensor)
    if producer is None:
        return None
    readers = tuple(op for op in view.graph.consumers(value.tensor) if _is_inside(view, part, op, inside))
    live = any(part.subgraph.values[v].nchw for v in (*node.inputs, *node.outputs))
    return Leak(value.tensor, producer, readers, live, is_harmless)


def _is_inside(view: View, part: PartitionPlan, op: Op, inside: set[int]) -> bool:
    """Whether an operator, or for one that XNNPACK folds into others (PAD, RELU) all of these, are among `inside`."""
    planned = view.planned(op)
    if planned is None or planned.index not in part.partition.ops:
        return False
    if any(node.op == planned.index for node in part.nodes):
        return planned.index in inside
    if any(t in view.graph.outputs for t in op.outputs):
        return False
    followers = [reader for t in op.outputs for reader in view.graph.consumers(t)]
    return bool(followers) and all(_is_inside(view, part, reader, inside) for reader in followers)
