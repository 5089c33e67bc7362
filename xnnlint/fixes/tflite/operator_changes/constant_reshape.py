"""RESHAPEs to a shape that is computed at run time, which the delegate refuses, get a constant one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit

_SHAPE_OPERATORS = ("SHAPE", "STRIDED_SLICE", "PACK", "SLICE", "GATHER", "CONCATENATION", "REDUCE_PROD", "MUL", "CAST")


class ConstantShape(OperatorFixer):
    """Of a shape with one unknown size, -1 says the same: the elements decide on it, whatever the batch is."""

    name = "constant-reshape"
    stage = Stage.SHAPES
    fulfils = frozenset({Condition.DELEGATED})
    summary = (
        "RESHAPE to a shape computed by SHAPE, STRIDED_SLICE and PACK -> to a constant one (--batch 1 allows more)"
    )
    any_size = True

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("RESHAPE"):
            computed = len(op.inputs) == 2 and graph.producer(op.inputs[1]) is not None
            if computed and graph.dtype(op.inputs[0]) == "FLOAT32" and _target(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        import numpy as np

        graph = view.graph
        target = _target(view, op)
        if target is None:
            raise CannotChange("its shape has more than one size that is known only at run time (--batch 1 may help)")
        fixed = view.options.batch == 1
        chain = graph.producer(op.inputs[1])
        op.inputs[1] = graph.add_constant(f"{graph.name(op.outputs[0])}_shape", np.array(target, np.int32))
        if op.options is not None:
            op.options.newShape = list(target)
        known = -math.prod(d for d in target if d != -1) if -1 in target else 0
        sizes = [math.prod(graph.shape(op.inputs[0])) // -known if d == -1 else d for d in target]
        out = graph.tensors[op.outputs[0]]
        out.shape = np.array(sizes, np.int32)
        out.shapeSignature = np.array(target, np.int32) if -1 in target else None
        _remove_unread(graph, chain)
        if fixed:
            fix_batch(graph)
        return f"reshape to the constant shape {list(target)}" + (", for a batch of 1" if fixed else "")


def _target(view: View, op: Op) -> tuple[int, ...] | None:
    """The shape as constants, with -1 for at most one size; None where more is unknown."""
    graph = view.graph
    elements = math.prod(graph.shape(op.inputs[0]))
    if view.options.batch == 1:
        shape = graph.shape(op.outputs[0])
        return shape if len(shape) > 1 and math.prod(shape) == elements else None
    pack = graph.producer(op.inputs[1])
    if pack is None or pack.type != "PACK" or len(pack.inputs) < 2:
        return None
    values = [graph.constant(t) for t in pack.inputs]
    sizes = [-1 if v is None else int(v.reshape(-1)[0]) for v in values]
    unknown = sum(v is None for v in values)
    if unknown > 1 or sum(size == -1 for size in sizes) > 1 or 0 in sizes:
        return None
    rest = math.prod(size for size in sizes if size != -1)
    return tuple(sizes) if rest > 0 and elements % rest == 0 else None


def fix_batch(graph: GraphEdit) -> None:
    """Makes a dynamic batch a batch of 1; other dynamic sizes stay."""
    import numpy as np

    for index, tensor in enumerate(graph.tensors):
        left = [1 if place == 0 else d for place, d in enumerate(graph.signature(index))]
        tensor.shapeSignature = np.array(left, np.int32) if -1 in left else None


def _remove_unread(graph: GraphEdit, op: Op | None) -> None:
    """Removes what computed the shape, as far as nobody else reads it."""
    if op is None or op.type not in _SHAPE_OPERATORS or op.links is None:
        return
    if any(graph.consumers(t) or t in graph.outputs for t in op.outputs):
        return
    sources = [graph.producer(t) for t in op.inputs]
    graph.remove(op)
    for source in sources:
        _remove_unread(graph, source)


FIXERS: tuple[OperatorFixer, ...] = (ConstantShape(),)
