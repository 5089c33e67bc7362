"""Squeeze-and-excite blocks whose gate is computed of a vector, asked by the rules about what stands between."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from xnnlint.linter.findings import Applicability
from xnnlint.model.graph import Graph, Operator
from xnnlint.model.weights import measure
from xnnlint.xnnpack.layout import passes_zeros_test
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import meets_map

KEEP_DIMENSIONS = "set keepdims=True in the pooling and drop what gives the dimensions back behind it"
AS_CONVOLUTIONS = (
    "write the gate as 1x1 convolutions of the same weights: GlobalAveragePooling2D(keepdims=True), and "
    "Conv2D(units, 1) in the place of each Dense"
)
COUNTED = "; their weights count among those that must be zero"
_RESTORING = ("RESHAPE", "EXPAND_DIMS")
_POOLING = ("MEAN", "SUM")
_RANK = 4


class Gate(Struct, frozen=True):
    """The operators from a pooling that drops its dimensions to the one that gives them back.

    Attributes:
        members: behind the pooling, in execution order; the last one gives the dimensions back.
        dense: those of them that are fully connected.
    """

    members: tuple[Operator, ...]
    dense: tuple[Operator, ...]

    @property
    def last(self) -> Operator:
        return self.members[-1]

    def fix(self, plan: Plan) -> tuple[str, Applicability]:
        if not self.dense:
            return KEEP_DIMENSIONS, Applicability.SAFE
        return AS_CONVOLUTIONS + (COUNTED if self._lacks_zeros(plan) else ""), Applicability.SAFE

    def waivers(self, plan: Plan) -> list[Waiver]:
        """What it takes for all of them to be part of a cluster."""
        found = [Waiver(WaiverKind.COMPATIBLE, op.index) for op in self.members]
        if self._lacks_zeros(plan):
            found += [Waiver(WaiverKind.PRUNED, op.index) for op in self.dense]
        return found

    def _lacks_zeros(self, plan: Plan) -> bool:
        measured = [m for op in self.dense if (m := measure(plan.graph, op.inputs[1])) is not None]
        elements, zeros = sum(m.elements for m in measured), sum(m.zeros for m in measured)
        return bool(elements) and not passes_zeros_test(zeros, elements)


def gates(graph: Graph) -> Iterator[Gate]:
    """Every such block whose gate scales a map."""
    for op in graph.operators:
        if op.type not in _RESTORING or graph.output_tensor(op).rank != _RANK or not op.inputs or op.inputs[0] < 0:
            continue
        if graph.tensors[op.inputs[0]].rank == _RANK:
            continue
        members = _behind_pooling(graph, op)
        if members and meets_map(graph, op.outputs[0]):
            yield Gate(members, tuple(m for m in members if m.type == "FULLY_CONNECTED"))


def _behind_pooling(graph: Graph, last: Operator) -> tuple[Operator, ...]:
    """The operators from a pooling without keepdims on; none where the values come from somewhere else."""
    found = [last]
    while True:
        source = next((t for t in found[0].inputs if t >= 0 and not graph.tensors[t].is_constant), -1)
        producer = graph.producer(source) if source >= 0 else None
        if producer is None or source in graph.outputs:
            return ()
        if producer.type in _POOLING:
            drops = not producer.attributes.get("keep_dims") and graph.tensors[producer.inputs[0]].rank == _RANK
            return tuple(found) if drops else ()
        readers = [reader for reader in graph.consumers(source) if reader.type != "SHAPE"]
        if len(readers) != 1 or len(producer.outputs) != 1 or graph.tensors[source].rank == _RANK:
            return ()
        found.insert(0, producer)
