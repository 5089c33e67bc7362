"""The work of every operator of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from xnnlint.xnnpack.planner import is_profiled

from .features import Context, work_of
from .spmm import SpmmWeights, spmm_weights
from .work import CALL, TFLITE, Tiles, Work

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph
    from xnnlint.xnnpack.ir import Node, Subgraph
    from xnnlint.xnnpack.plan import Kernel, Plan
    from xnnlint.xnnpack.planner import Planner

# How the filters of a model are packed, by tensor: plans of the same model ask again and again.
_PACKED: WeakKeyDictionary[Planner, dict[int, SpmmWeights]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class PlannedWork:
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
        if value.tensor is None:
            return spmm_weights(value.data().reshape(value.shape))
        if value.tensor not in packed:
            packed[value.tensor] = spmm_weights(value.data().reshape(value.shape))
        return packed[value.tensor]

    for part in plan.partitions:
        for node in part.subgraph.nodes:
            if is_profiled(node, part.subgraph):
                kernel = next(kernels)
                context = Context(node, part.subgraph, kernel.kernel, tiles, weights)
                yield PlannedWork(kernel, work_of(context))


def tflite_work(graph: Graph, index: int) -> Work:
    """The rough work of an operator that TFLite runs itself: what it reads and writes, and its MACs."""
    from xnnlint.linter.pruning_forecast import macs

    op = graph.operators[index]
    moved = sum(math.prod(graph.tensors[t].shape) for t in (*op.inputs, *op.outputs) if t >= 0)
    return Work(TFLITE, {CALL: 1, "elements": moved, "macs": macs(graph, op)}, rough=True)


def border_elements(plan: Plan) -> int:
    """Elements that cross the borders of partitions."""
    return sum(value.elements for part in plan.partitions for value in part.subgraph.values if value.is_external)
