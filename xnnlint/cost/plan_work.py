"""The work of every operator of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from xnnlint.cost.features import Context, work_of
from xnnlint.cost.spmm import SpmmWeights, spmm_weights
from xnnlint.cost.work import CALL, TFLITE, Tiles, Work
from xnnlint.xnnpack.planner import is_profiled

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph
    from xnnlint.xnnpack.ir import Node, Subgraph
    from xnnlint.xnnpack.plan import Kernel, Plan, Replanner

# How the filters of a model are packed, by tensor: plans of the same model ask again and again.
_PACKED: WeakKeyDictionary[Replanner, dict[int, SpmmWeights]] = WeakKeyDictionary()


class PlannedWork(NamedTuple):
    """An operator of XNNPACK and its work."""

    kernel: Kernel
    work: Work


def xnnpack_work(plan: Plan, tiles: Tiles, shares: Mapping[int, float] | None = None) -> Iterator[PlannedWork]:
    """The work of each XNNPACK operator, in the order of `plan.operators`.

    Args:
        plan: as made by a planner.
        tiles: of the CPU's kernels.
        shares: by TFLite operator, the share of zeros, 0 to 1, that its filter is taken to have instead of its own.
    """
    kernels = iter(plan.operators)
    packed = _PACKED.setdefault(plan.planner, {}) if plan.planner is not None else {}

    def weights(node: Node, subgraph: Subgraph) -> SpmmWeights:
        value = subgraph.values[node.inputs[1]]
        share = (shares or {}).get(node.op)
        if share is not None:
            nonzeros = round((1 - share) * value.elements)
            return SpmmWeights(nonzeros, nonzeros)
        if value.data is None:  # A filter that is computed at run time never gets here; be safe.
            return SpmmWeights(value.elements, value.elements)
        if value.tensor is not None and value.tensor in packed:
            return packed[value.tensor]
        data = value.data()
        # Of weights that cannot be known (never unpacked, say) there is nothing to be read.
        known = data.size == value.elements
        found = spmm_weights(data.reshape(value.shape)) if known else SpmmWeights(value.elements, value.elements)
        if value.tensor is not None:
            packed[value.tensor] = found
        return found

    for part in plan.partitions:
        read = {v for node in part.subgraph.nodes for v in node.inputs}
        for node, ages in _with_ages(part.subgraph):
            if is_profiled(node, part.subgraph, read):
                kernel = next(kernels)
                context = Context(node, part.subgraph, kernel.kernel, tiles, weights, ages)
                yield PlannedWork(kernel, work_of(context))


def _with_ages(subgraph: Subgraph) -> Iterator[tuple[Node, dict[int, float]]]:
    """Each node with, by input, how many bytes were written and how many of weights read since that was written."""
    values = subgraph.values
    clock, written = 0.0, dict.fromkeys((value.id for value in values), 0.0)
    for node in subgraph.nodes:
        yield node, {v: clock - written[v] for v in node.inputs}
        clock += sum(
            4.0 * values[v].elements for v in (*node.outputs, *(i for i in node.inputs if values[i].is_static))
        )
        written.update(dict.fromkeys(node.outputs, clock))


def tflite_work(graph: Graph, index: int) -> Work:
    """The rough work of an operator that TFLite runs itself: what it reads and writes, and its MACs."""
    from xnnlint.model.macs import macs_of

    op = graph.operators[index]
    moved = sum(math.prod(graph.tensors[t].shape) for t in (*op.inputs, *op.outputs) if t >= 0)
    return Work(f"{TFLITE}:{op.type}", {CALL: 1, "elements": moved, "macs": macs_of(graph, op)}, rough=True)


def border_elements(plan: Plan) -> int:
    """Elements that cross the borders of partitions."""
    return sum(value.elements for part in plan.partitions for value in part.subgraph.values if value.is_external)
