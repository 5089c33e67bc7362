"""Unary, binary and variable operators, and operators that are only assumed to be delegated.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitUnaryNode`, `VisitBinaryNode`,
`Visit*VariableNode`; google/XNNPACK src/subgraph/binary.c `xnn_define_binary`, src/subgraph.c `xnn_insert_clamp_node`.
"""

from __future__ import annotations

from typing import Any

from xnnlint.model.graph import Operator
from xnnlint.xnnpack.delegate.accept_checks import ACTIVATION_RANGES, INF
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.lower.lower_values import Lowering, Visitor, output_range

_FUSING = ("ADD", "DIV", "MUL", "SUB")


def unary(operator: str) -> Visitor:
    """Defines a unary node of XNNPACK's operator."""

    def visit(lowering: Lowering, op: Operator) -> None:
        approximate = op.type == "GELU" and op.attributes.get("approximate", False)
        chosen = "approxgelu" if approximate else operator
        lowering.node(op, NodeType.UNARY, [lowering.input(op)], [lowering.output(op)], chosen, **_unary_params(op))

    return visit


def _unary_params(op: Operator) -> dict[str, Any]:
    if op.type == "ELU":
        return {"alpha": 1.0}
    if op.type == "LEAKY_RELU":
        return {"negative_slope": float(op.attributes.get("alpha", 0.0))}
    return {}


def clamp(lowering: Lowering, op: Operator) -> None:
    lowering.clamp(op, lowering.input(op), lowering.output(op), ACTIVATION_RANGES[op.type])


def binary(operator: str) -> Visitor:
    """Defines a binary node of XNNPACK's operator, and what a fused activation takes."""

    def visit(lowering: Lowering, op: Operator) -> None:
        inputs, output = [lowering.input(op, 0), lowering.input(op, 1)], lowering.output(op)
        limits = output_range(op) if op.type in _FUSING else (-INF, INF)
        if limits == (-INF, INF):
            lowering.node(op, NodeType.BINARY, inputs, [output], operator)
        elif lowering.profile["binary_activation_as_clamp_node"]:
            target = lowering.subgraph.values[output]
            unclamped = lowering.subgraph.new_value(target.dtype, target.shape)
            lowering.node(op, NodeType.BINARY, inputs, [unclamped.id], operator)
            lowering.clamp(op, unclamped.id, output, limits)
        else:
            lowering.node(op, NodeType.BINARY, inputs, [output], operator, limits)

    return visit


def read_variable(lowering: Lowering, op: Operator) -> None:
    lowering.node(op, NodeType.COPY, [lowering.input(op)], [lowering.output(op)])


def assign_variable(lowering: Lowering, op: Operator) -> None:
    lowering.node(op, NodeType.COPY, [lowering.input(op, 1)], [lowering.input(op, 0)])


def nothing(lowering: Lowering, op: Operator) -> None:
    """VAR_HANDLE only names a variable."""


def assumed(lowering: Lowering, op: Operator) -> None:
    """An operator that XNNPACK doesn't take, as if it were an elementwise one that fits every layout.

    What computes a shape is left out, and the RESHAPE that uses it becomes one to a constant shape.
    """
    outputs_of = [lowering.graph.tensors[t] for t in op.outputs if t >= 0]
    if outputs_of and all(t.dtype in ("INT32", "INT64") for t in outputs_of):
        return
    if op.type == "RESHAPE" and op.inputs[0] in lowering.ids:
        shape = outputs_of[0].shape
        lowering.node(op, NodeType.RESHAPE, [lowering.input(op)], [lowering.output(op)], new_shape=shape)
        return
    values = [t for t in op.inputs if t in lowering.ids]
    data = [t for t in values if not lowering.value(t).is_static]
    outputs = [lowering.ids[t] for t in op.outputs if t in lowering.ids]
    if data and outputs:
        # A comparison gives BOOL, which XNNPACK has no type for.
        for v in outputs:
            lowering.subgraph.values[v].dtype = lowering.value(data[0]).dtype
        lowering.node(op, NodeType.UNARY, [lowering.ids[t] for t in data], outputs, "assumed")
