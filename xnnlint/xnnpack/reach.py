"""How far a change of single operators reaches, told without planning anew.

Both answers follow from two facts of the layout pass (`layout`): a node that reads what no NCHW node computed is
incompatible, and so is everything behind it up to the next stem; and nodes that no chain of compatible nodes joins know
nothing of each other. They are safe: where they say that something is lost, or that nothing can be gained, it is so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from xnnlint.xnnpack.ir import Layout, Node, NodeType
from xnnlint.xnnpack.layout import DisjointSets
from xnnlint.xnnpack.plan import PartitionPlan

_WEIGHTED = (NodeType.FULLY_CONNECTED, NodeType.CONVOLUTION_2D)
_NEVER = -1
"""Stands for what no operator's change could lift: a value from outside of the partition, or behind a cluster end."""
# Of so many nodes at most is asked whether one runs SpMM; the next ones mostly do.
_NEAR = 64
_KEPT = 2


class Reach:
    """What operators of a model bring, or cost, if they alone can or can no longer run in NCHW.

    Args:
        parts: the partitions as they are planned.
    """

    def __init__(self, parts: Sequence[PartitionPlan]) -> None:
        self._parts = parts
        self._part_of = {op: part for part in parts for op in part.partition.ops}
        self._written = {v.tensor: (part, v.id) for part in parts for v in part.subgraph.values if v.id in part.writers}
        self._regions: dict[int, _Regions] = {}

    @cached_property
    def is_dense(self) -> bool:
        """Whether nothing runs in NCHW as it is planned."""
        return not any(value.nchw for part in self._parts for value in part.subgraph.values)

    def loses(self, ops: Collection[int]) -> bool:
        """Whether SpMM is lost for sure without these operators, which can run in NCHW by assumption only."""
        return any(part.sparse_mode and _feeds_spmm(part, part.nodes_of.get(op, ())) for op, part in self._located(ops))

    def may_gain(self, ops: Collection[int]) -> bool:
        """Whether SpMM could be gained where nothing but these operators changes.

        They are those of one change. Only of plans that are right.
        """
        places = frozenset(ops)
        return any(
            self._regions_of(part).may_gain(places, part.nodes_of.get(op, ())) for op, part in self._located(ops)
        )

    def may_gain_by_end(self, tensor: int) -> bool:
        """Whether SpMM could be gained by a cluster end behind a tensor, for its readers outside of the cluster."""
        if tensor not in self._written:
            return False
        part, value = self._written[tensor]
        return self._regions_of(part).may_gain(frozenset(), (part.writers[value],))

    def may_arm(self, ops: Collection[int]) -> bool:
        """Whether one of these operators is what a cluster end waits for: while no end has a producer that can run in
        NCHW, the runtime lays out nothing of the partition, and with the first one whatever is joined elsewhere."""
        return any(
            not part.decision.armed and _feeds_end(part, part.nodes_of.get(op, ())) for op, part in self._located(ops)
        )

    def _regions_of(self, part: PartitionPlan) -> _Regions:
        if id(part) not in self._regions:
            self._regions[id(part)] = _Regions(part)
        return self._regions[id(part)]

    def _located(self, ops: Iterable[int]) -> list[tuple[int, PartitionPlan]]:
        return [(op, self._part_of[op]) for op in ops if op in self._part_of]


def _feeds_end(part: PartitionPlan, nodes: Iterable[int]) -> bool:
    written = [v for n in nodes for v in part.nodes[n].outputs]
    return any(part.conditions[r].layout & Layout.EXIT for v in written for r in part.readers.get(v, ()))


def _feeds_spmm(part: PartitionPlan, nodes: Iterable[int]) -> bool:
    """Whether a node that runs SpMM is downstream of some nodes, with no stem in between."""
    verdicts = part.decision.verdicts
    pending = [n for n in nodes if not part.nodes[n].params.get("assumed")]
    seen = set(pending)
    while pending and len(seen) < _NEAR:
        node = part.nodes[pending.pop()]
        for reader in (r for v in node.outputs for r in part.readers.get(v, ())):
            if reader in seen or verdicts[reader].layout & Layout.ENTRY:
                continue
            seen.add(reader)
            if _runs_spmm(part, part.nodes[reader]):
                return True
            pending.append(reader)
    return False


def _runs_spmm(part: PartitionPlan, node: Node) -> bool:
    values = part.subgraph.values
    return node.type in _WEIGHTED and all(values[v].nchw for v in (node.inputs[0], *node.outputs))


class _Regions:
    """The nodes of a partition that know of each other, and what keeps each from being part of a cluster."""

    def __init__(self, part: PartitionPlan) -> None:
        self._part = part
        self._layouts = [verdict.layout for verdict in part.decision.verdicts]
        self._regions = self._joined()
        above = self._blockers()
        # By region, what stands above each of its 1x1 convolutions.
        self._blocked: dict[int, set[frozenset[int]]] = {}
        for n, node in enumerate(part.nodes):
            if node.type in _WEIGHTED:
                self._blocked.setdefault(self._regions.root(n), set()).add(above[n])

    def may_gain(self, ops: frozenset[int], nodes: Iterable[int]) -> bool:
        """Whether a 1x1 convolution is near that nothing but these operators keeps from what NCHW nodes compute."""
        part = self._part
        near: set[int] = set()
        for n in nodes:
            near.add(n)
            node = part.nodes[n]
            for v in (*node.inputs, *node.outputs):
                near.update(part.readers.get(v, ()) if not part.subgraph.values[v].is_static else ())
                if v in part.writers:
                    near.add(part.writers[v])
        regions = {self._regions.root(n) for n in near}
        return any(above <= ops for region in regions for above in self._blocked.get(region, ()))

    def _joined(self) -> DisjointSets:
        """Nodes that can run in NCHW, joined by the values that they write and read."""
        part = self._part
        joined = DisjointSets(len(part.nodes))
        for value in part.subgraph.values:
            ends = part.readers.get(value.id, []) if not value.is_static else []
            ends = [
                n for n in (*ends, *([part.writers[value.id]] if value.id in part.writers else [])) if self._layouts[n]
            ]
            for n in ends[1:]:
                joined.join(ends[0], n)
        return joined

    def _blockers(self) -> list[frozenset[int]]:
        """Per node, up to two of the operators that keep it from being incompatible, if there are any."""
        part = self._part
        found: list[frozenset[int]] = []
        for node in part.nodes:
            above: set[int] = set()
            for value in part.subgraph.dynamic_inputs(node):
                writer = part.writers.get(value.id)
                if value.is_external or writer is None or writer >= len(found):
                    above.add(_NEVER)
                    continue
                layout = self._layouts[writer]
                if layout & Layout.ENTRY:
                    continue
                if not layout:
                    above.add(part.nodes[writer].op)
                    if part.conditions[writer].layout & Layout.ENTRY:
                        continue
                elif not layout & Layout.NCHW:
                    above.add(_NEVER)
                above |= found[writer]
            found.append(frozenset(sorted(above)[:_KEPT]))
        return found
