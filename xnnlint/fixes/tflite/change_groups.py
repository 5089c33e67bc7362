"""Which changes belong together: those of one kind, and those that make one cluster of operators sparse.

A cluster is what runs in NCHW between an entry and its exits. It gains as a whole or not at all, since XNNPACK runs
none of it sparse where one part of it cannot; another cluster of the same model gains by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xnnlint.fixes.change import Change, Key
    from xnnlint.fixes.tflite.file_version import FileVersion
    from xnnlint.xnnpack.plan import Plan

# Where there are more places, none is tried alone.
_MOST_PLACES = 12


def groups(version: FileVersion, origin: FileVersion) -> list[frozenset[Key]]:
    """What a version could be without, each once: clusters, kinds, and single places where they are few."""
    changes = version.changes
    of_kinds = [[c for c in changes if c.fix == kind] for kind in dict.fromkeys(change.fix for change in changes)]
    alone = [[change] for change in changes] if len(changes) <= _MOST_PLACES else []
    found = [*_of_clusters(version, origin), *of_kinds, *alone]
    return list(dict.fromkeys(frozenset(change.key for change in group) for group in found if group))


def _of_clusters(version: FileVersion, origin: FileVersion) -> list[list[Change]]:
    clusters = list(_clusters(version.plan))
    if len(clusters) < 2:
        return []
    operators, tensors = origin.plan.graph.operators, origin.plan.graph.tensors

    def written(change: Change) -> set[str]:
        """The names of what the operator writes that was changed; fixes keep them."""
        index = change.site.partition("+")[0].removeprefix("#")
        return {tensors[t].name for t in operators[int(index)].outputs} if index.isdigit() else set()

    return [[change for change in version.changes if not names.isdisjoint(written(change))] for names in clusters]


def _clusters(plan: Plan) -> Iterator[set[str]]:
    """The names of the tensors that each connected set of operators in NCHW writes."""
    graph = plan.graph
    left = {kernel.op for kernel in plan.operators if kernel.nchw or kernel.is_spmm}
    while left:
        pending, cluster = [left.pop()], set[int]()
        while pending:
            op = graph.operators[pending.pop()]
            cluster.add(op.index)
            near = {reader.index for t in op.outputs for reader in graph.consumers(t)}
            near |= {writer.index for t in op.inputs if (writer := graph.producer(t)) is not None}
            pending += near & left
            left -= near
        yield {graph.tensors[t].name for index in cluster for t in graph.operators[index].outputs}
