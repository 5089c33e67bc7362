"""Operators that move, pad, join or reduce values.

Sources: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitReduceNode`, `VisitPadNode` and their
kin; google/XNNPACK src/subgraph/static-*.c, copy.c, concatenate.c, even-split.c, softmax.c.
"""

from __future__ import annotations

from typing import Any

from xnnlint.model.graph import Operator
from xnnlint.xnnpack.delegate.accept_checks import constant, number
from xnnlint.xnnpack.delegate.accept_shapes import is_global_pooling
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.lower.lower_values import Lowering, Visitor


def _numbers(lowering: Lowering, op: Operator, slot: int) -> list[int]:
    return [int(v) for v in constant(lowering.graph.tensors[op.inputs[slot]])]


def reduce(kind: str) -> Visitor:
    """Defines a reduction of a node type, or what older runtimes have for it."""

    def visit(lowering: Lowering, op: Operator) -> None:
        rank = lowering.value(op.inputs[0]).rank
        # In the file's order: the runtime's re-mapping of axes for NCHW depends on it.
        named = tuple(a + rank if a < 0 else a for a in _numbers(lowering, op, 1))
        axes = tuple(dict.fromkeys(named))
        keep_dims = bool(op.attributes.get("keep_dims", False))
        if lowering.profile["reduce_as_global_pooling"] and _global_pooling(lowering, op, keep_dims):
            return
        params: dict[str, Any] = {"axes": axes, "keep_dims": keep_dims, "repeats_axes": len(axes) < len(named)}
        lowering.node(op, kind, [lowering.input(op)], [lowering.output(op)], **params)

    return visit


def _global_pooling(lowering: Lowering, op: Operator, keep_dims: bool) -> bool:
    x, axes = lowering.graph.tensors[op.inputs[0]], _numbers(lowering, op, 1)
    if op.type not in ("MEAN", "SUM") or not is_global_pooling(x, axes):
        return False
    kind, operator = NodeType.GLOBAL_AVERAGE_POOLING_2D, ""
    if op.type == "SUM" or len(axes) == 1:
        kind = NodeType.OTHER
        operator = f"global_{'sum' if op.type == 'SUM' else 'average'}_pooling_{len(axes)}d"
    lowering.node(op, kind, [lowering.input(op)], [lowering.output(op)], operator, keep_dims=keep_dims)
    return True


def pad(lowering: Lowering, op: Operator) -> None:
    amounts = _numbers(lowering, op, 1)
    lowering.node(
        op,
        NodeType.CONSTANT_PAD,
        [lowering.input(op)],
        [lowering.output(op)],
        pre=tuple(amounts[0::2]),
        post=tuple(amounts[1::2]),
        value=0.0,
    )


def reshape(lowering: Lowering, op: Operator) -> None:
    has_tensor = lowering.graph.input_tensor(op, 1) is not None
    target = _numbers(lowering, op, 1) if has_tensor else [int(d) for d in op.attributes.get("new_shape", ())]
    new_shape = tuple(0 if d == -1 else d for d in target)
    lowering.node(op, NodeType.RESHAPE, [lowering.input(op)], [lowering.output(op)], new_shape=new_shape)


def resize_bilinear(lowering: Lowering, op: Operator) -> None:
    height, width = _numbers(lowering, op, 1)
    align_corners = bool(op.attributes.get("align_corners", False))
    half_pixel = bool(op.attributes.get("half_pixel_centers", False))
    lowering.node(
        op,
        NodeType.RESIZE_BILINEAR,
        [lowering.input(op)],
        [lowering.output(op)],
        new_height=height,
        new_width=width,
        align_corners=align_corners,
        legacy=not align_corners and not half_pixel,
    )


def concatenation(lowering: Lowering, op: Operator) -> None:
    axis, rank = number(op, "axis"), lowering.graph.output_tensor(op).rank
    inputs = [lowering.ids[t] for t in op.inputs]
    lowering.node(op, NodeType.CONCATENATE, inputs, [lowering.output(op)], axis=axis + rank if axis < 0 else axis)


def slice_(lowering: Lowering, op: Operator) -> None:
    begins, sizes = _numbers(lowering, op, 1), _numbers(lowering, op, 2)
    ends = tuple(b + s for b, s in zip(begins, sizes, strict=True))
    lowering.node(op, NodeType.SLICE, [lowering.input(op)], [lowering.output(op)], begins=tuple(begins), ends=ends)


def strided_slice(lowering: Lowering, op: Operator) -> None:
    """An end of 0 stands for the end of the dimension."""
    begins, ends = _numbers(lowering, op, 1), _numbers(lowering, op, 2)
    begin_mask, end_mask = number(op, "begin_mask"), number(op, "end_mask")
    begins = [0 if begin_mask >> i & 1 else b for i, b in enumerate(begins)]
    if op.attributes.get("offset", False):
        ends = [e + b for e, b in zip(ends, begins, strict=True)]
    ends = [0 if end_mask >> i & 1 else e for i, e in enumerate(ends)]
    lowering.node(
        op, NodeType.SLICE, [lowering.input(op)], [lowering.output(op)], begins=tuple(begins), ends=tuple(ends)
    )


def transpose(lowering: Lowering, op: Operator) -> None:
    permutation = _numbers(lowering, op, 1)
    perm = tuple(p + len(permutation) if p < 0 else p for p in permutation)
    lowering.node(op, NodeType.TRANSPOSE, [lowering.input(op)], [lowering.output(op)], perm=perm)


def split(lowering: Lowering, op: Operator) -> None:
    axis = _numbers(lowering, op, 0)[0]
    rank = lowering.value(op.inputs[1]).rank
    outputs = [lowering.ids[t] for t in op.outputs]
    lowering.node(op, NodeType.EVEN_SPLIT, [lowering.input(op, 1)], outputs, axis=axis + rank if axis < 0 else axis)


def softmax(lowering: Lowering, op: Operator) -> None:
    lowering.node(op, NodeType.SOFTMAX, [lowering.input(op)], [lowering.output(op)])


def block(lowering: Lowering, op: Operator) -> None:
    kind = NodeType.DEPTH_TO_SPACE_2D if op.type == "DEPTH_TO_SPACE" else NodeType.SPACE_TO_DEPTH_2D
    lowering.node(op, kind, [lowering.input(op)], [lowering.output(op)], block_size=number(op, "block_size"))
