"""How TFLite splits a graph into runs of delegated and of other operators.

Source: google-ai-edge/LiteRT tflite/graph_info.cc `PartitionGraphIntoIndependentNodeSubsetsImpl` (greedy, as it is by
default) and tflite/core/subgraph.cc `OpMightHaveSideEffect`, read at f674577 (2026-08-21).
"""

from __future__ import annotations

from msgspec import Struct, field

from xnnlint.model.graph import Graph, Operator

_CONTROL_FLOW = ("IF", "WHILE", "CALL_ONCE")


class Subset(Struct):
    """Operators that run together: one delegate kernel, or TFLite's own kernels one after the other.

    Attributes:
        delegated: whether the delegate runs it.
        ops: operator indices in the order of execution.
        inputs: tensors from outside, constants among them, ascending.
        outputs: tensors that later subsets or the model's outputs read, ascending.
    """

    delegated: bool
    ops: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def partition(graph: Graph, delegated: set[int]) -> list[Subset]:
    """Splits a graph, given the operators that the delegate claims.

    Every subset sweeps over the operators until a sweep adds nothing: an operator joins if its inputs are computed and
    it is of the subset's kind, which the first ready operator decides.
    """
    made_by: dict[int, int | None] = {t: None for op in graph.operators for t in op.outputs if t >= 0}
    waiting_for = _side_effect_order(graph)
    waiting = list(range(len(graph.operators)))
    done: set[int] = set()
    subsets: list[Subset] = []
    outputs: list[set[int]] = []
    while waiting:
        subset: Subset | None = None
        inputs: set[int] = set()
        outputs.append(set())
        while True:
            left = []
            for index in waiting:
                op = graph.operators[index]
                ready = index not in waiting_for or waiting_for[index] in done
                ready = ready and all(made_by.get(t, -1) is not None for t in op.inputs if t >= 0)
                if ready and subset is None:
                    subset = Subset(index in delegated)
                if not ready or subset is None or subset.delegated != (index in delegated):
                    left.append(index)
                    continue
                _place(op, len(subsets), subset, inputs, outputs, made_by)
                done.add(index)
            if len(left) == len(waiting):
                break
            waiting = left
        if subset is None:
            break  # a cycle, which TFLite refuses
        subset.inputs = sorted(inputs)
        subsets.append(subset)
    for tensor in graph.outputs:
        epoch = made_by.get(tensor)
        if epoch is not None:
            outputs[epoch].add(tensor)
    for subset, tensors in zip(subsets, outputs, strict=False):
        subset.outputs = sorted(tensors)
    return subsets


def _place(
    op: Operator,
    epoch: int,
    subset: Subset,
    inputs: set[int],
    outputs: list[set[int]],
    made_by: dict[int, int | None],
) -> None:
    subset.ops.append(op.index)
    made_by.update((t, epoch) for t in op.outputs if t >= 0)
    for tensor in op.inputs:
        source = made_by.get(tensor)
        if tensor < 0 or source == epoch:
            continue
        inputs.add(tensor)
        if source is not None:
            outputs[source].add(tensor)


def _side_effect_order(graph: Graph) -> dict[int, int]:
    """Operator -> the operator with a side effect that has to come before it."""
    order: dict[int, int] = {}
    last: int | None = None
    for op in graph.operators:
        touches = any(graph.tensors[t].dtype == "RESOURCE" for t in (*op.inputs, *op.outputs) if t >= 0)
        if op.type in _CONTROL_FLOW or touches:
            if last is not None:
                order[op.index] = last
            last = op.index
    return order
