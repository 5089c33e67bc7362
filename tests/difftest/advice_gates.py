"""Follows the advice on gates that are computed of a vector: they become 1x1 convolutions on the pooled map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from xnnlint.rules._gates import gates

from xnnlint.fixes.tflite.graph_parts import activation, is_constant
from xnnlint.fixes.tflite.object_api import number
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.model.graph import Graph

SHAPE_ONLY = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


class CannotWrite(Exception):
    """A gate has an operator that this editor knows no form of; the text is its type."""


def write_gates(edit: GraphEdit, graph: Graph, ops: list[Op], waivers: Collection[Waiver]) -> bool:
    """Writes every gate for which that is asked; whether there was one with dense layers.

    Args:
        graph: as it was before any change; ops: its operators in the edit, by index.
        waivers: what is asked for.

    Raises:
        CannotWrite: not every operator of a gate has a form on maps.
    """
    dense = False
    for gate in gates(graph):
        if all(Waiver(WaiverKind.COMPATIBLE, op.index) in waivers for op in gate.members):
            _write(edit, [ops[op.index] for op in gate.members])
            dense = dense or bool(gate.dense)
    return dense


def _write(edit: GraphEdit, members: list[Op]) -> None:
    source = next(t for t in members[0].inputs if not is_constant(edit, t))
    pooling = edit.producer(source)
    assert pooling is not None
    pooled = edit.add_like(source, "_kept", _as_map(edit, source))
    pooling.options.keepDims = True
    # Others than the gate keep the vector.
    others = [op for op in edit.consumers(source) if op is not members[0] and op.type != "SHAPE"]
    pooling.outputs = [pooled]
    if others or source in edit.outputs:
        raise CannotWrite("a pooling that others read, too")
    value = pooled
    for op in members:
        if op.type in SHAPE_ONLY:
            edit.rewire(op.outputs[0], value)
            edit.remove(op)
            continue
        target = edit.add_like(op.outputs[0], "_map", _as_map(edit, op.outputs[0]))
        _write_member(edit, op, value, target)
        value = target


def _write_member(edit: GraphEdit, op: Op, value: int, target: int) -> None:
    old = op.outputs[0]
    if op.type == "FULLY_CONNECTED":
        kernel = edit.constant(op.inputs[1])
        if kernel is None:
            raise CannotWrite("a dense layer of the gate whose weights are not stored dense")
        weights = edit.add_constant(f"{edit.name(op.inputs[1])}/1x1", kernel[:, None, None, :])
        edit.insert(
            "CONV_2D",
            [value, weights, *op.inputs[2:]],
            [target],
            near=op,
            options="Conv2DOptions",
            padding=number("Padding", "VALID"),
            strideH=1,
            strideW=1,
            fusedActivationFunction=number("ActivationFunctionType", activation(op)),
        )
        edit.rewire(old, target)
        edit.remove(op)
        return
    constants = [t for t in op.inputs if is_constant(edit, t)]
    if len(op.inputs) == 1:
        op.inputs = [value]
    elif op.type in ("ADD", "MUL") and len(constants) == 1:
        values = edit.constant(constants[0])
        assert values is not None
        wide = np.ascontiguousarray(values.reshape((1,) * (4 - values.ndim) + values.shape))
        op.inputs = [edit.add_constant(f"{edit.name(constants[0])}/4d", wide), value]
    else:
        raise CannotWrite(f"{op.type} in a gate")
    op.outputs = [target]
    edit.rewire(old, target)


def _as_map(edit: GraphEdit, tensor: int) -> tuple[int, ...]:
    shape = edit.shape(tensor)
    return (shape[0], 1, 1, shape[-1])
