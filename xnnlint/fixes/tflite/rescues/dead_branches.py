"""Branches that nobody reads, over which some runtimes end the process."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way


class RemoveDeadBranch(Rescue):
    """Without them the outputs are the same."""

    name = "remove-dead-branch"
    stage = Preference.FAILURES
    summary = "branches that nothing reads, over which LiteRT 1.2 to 2.0 crash -> removed"

    def ways(self, view: View) -> Iterator[Way]:
        if dead := dead_branch(view):
            yield self.way(view, dead[0], _remove)


def dead_branch(view: View) -> list[Op]:
    """The operators on which no output depends.

    LiteRT 1.2 to 2.0 end the process over two or more in a row (google/XNNPACK src/subgraph.c `xnn_subgraph_fusion` and
    `xnn_subgraph_clean_up`, mended by fd15d8d8). Operators without outputs, and those of variables, are no such branch.
    """
    graph = view.graph
    needed, pending = set[int](), [t for t in graph.outputs if t >= 0]
    while pending:
        tensor = pending.pop()
        if tensor not in needed:
            needed.add(tensor)
            producer = graph.producer(tensor)
            pending += [t for t in producer.inputs if t >= 0] if producer is not None else []
    return [op for op in graph.operators if op.outputs and _is_plain(view, op) and not needed.intersection(op.outputs)]


def _remove(view: View) -> str:
    dead = dead_branch(view)
    for op in dead:
        view.graph.remove(op)
    return f"remove {len(dead)} operators whose outputs nothing reads"


def _is_plain(view: View, op: Op) -> bool:
    """Whether an operator does nothing but to compute its outputs."""
    touched = (*op.inputs, *op.outputs)
    return not any(t >= 0 and view.graph.tensors[t].isVariable for t in touched) and not op.type.startswith(
        ("CALL", "VAR_HANDLE", "ASSIGN", "READ_VARIABLE", "WHILE", "IF", "HASHTABLE")
    )


RESCUES = (RemoveDeadBranch(),)
