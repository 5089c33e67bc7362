"""Which subgraphs of a file run, and which operators call them.

Source: the kernels of google-ai-edge/LiteRT tflite/kernels (while.cc, if.cc, call_once.cc, stablehlo_composite.cc); the
delegate is applied to all subgraphs (tflite/core/interpreter.cc `Interpreter::ModifyGraphWithDelegateImpl`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from xnnlint.model.graph import Graph, Model, Operator
from xnnlint.xnnpack.inlining import COMPOSITE

_SUFFIX = "_subgraph_index"


class Call(NamedTuple):
    """A subgraph besides the main one: its index, what calls it, and the main graph's operator that leads there."""

    subgraph: int
    role: str
    op: int | None


def calls_of(model: Model, main: Graph) -> list[Call]:
    """The other subgraphs of a file in the order of their indices.

    Args:
        main: the main one as it is planned; the decomposition of a composite that is no longer in it is left out.
    """
    reached = {model.entry: Call(model.entry, "", None)}
    pending = deque((op.index, op) for op in main.operators)
    while pending:
        at, op = pending.popleft()
        for role, number in _named(op):
            if 0 <= number < len(model.graphs) and number not in reached:
                reached[number] = Call(number, role, at)
                pending += ((at, called) for called in model.graphs[number].operators)
    decompositions = {n for g in model.graphs for op in g.operators if op.type == COMPOSITE for _, n in _named(op)}
    for number in range(len(model.graphs)):
        if number not in reached and number not in decompositions:
            reached[number] = Call(number, "", None)
    return [reached[number] for number in sorted(reached) if number != model.entry]


def _named(op: Operator) -> Iterator[tuple[str, int]]:
    """Role and index of each subgraph that an operator names."""
    for key, value in op.attributes.items():
        if key.endswith(_SUFFIX):
            yield key.removesuffix(_SUFFIX), int(value)
        elif key == "subgraph" and op.type == "CALL":
            yield key, int(value)
