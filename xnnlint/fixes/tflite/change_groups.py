"""Which changes belong together, since they make one cluster of operators sparse.

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


_UNPACKING = ("DENSIFY", "DEQUANTIZE")


def of_clusters(version: FileVersion, origin: FileVersion) -> list[frozenset[Key]]:
    """The changes of each cluster of a version, where it has several."""
    clusters = list(_clusters(version.plan))
    if len(clusters) < 2:
        return []
    operators, tensors = origin.plan.graph.operators, origin.plan.graph.tensors

    def written(change: Change) -> set[str]:
        """The names of what the operator writes that was changed; fixes keep them."""
        index = change.site.partition("+")[0].removeprefix("#")
        return {tensors[t].name for t in operators[int(index)].outputs} if index.isdigit() else set()

    return [frozenset(c.key for c in version.changes if not names.isdisjoint(written(c))) for names in clusters]


def _clusters(plan: Plan) -> Iterator[set[str]]:
    """The names of the tensors that each connected set of operators in NCHW writes, and of those fused into them."""
    graph = plan.graph
    in_nchw = {kernel.op for kernel in plan.operators if kernel.nchw or kernel.is_spmm}
    others = {kernel.op for kernel in plan.operators} - in_nchw
    fused = {op.index for op in graph.operators if op.type not in _UNPACKING} - others - set(plan.tflite_ops)
    left = in_nchw | fused
    while left:
        pending, cluster = [left.pop()], set[int]()
        while pending:
            op = graph.operators[pending.pop()]
            cluster.add(op.index)
            near = {reader.index for t in op.outputs for reader in graph.consumers(t)}
            near |= {writer.index for t in op.inputs if (writer := graph.producer(t)) is not None}
            pending += near & left
            left -= near
        if cluster & in_nchw:
            yield {graph.tensors[t].name for index in cluster for t in graph.operators[index].outputs}
