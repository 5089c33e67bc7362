"""Arithmetic on shapes, of which the converter knows the numbers. See `rewrite` for the sources."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xnnlint.keras.lower.program import Constant, Node, Value
from xnnlint.keras.lower.rewriter import Rewriter


def known_sizes(rewriter: Rewriter, node: Node) -> bool:
    """The part of a tensor's shape that is known (TensorFlow's shape inference folds it)."""
    whole = rewriter.producer(node, 0, "SHAPE")
    source = whole.inputs[0] if whole is not None else None
    begin, end, stride = (node.constant(slot) for slot in (1, 2, 3))
    if source is None or source.shape is None or begin is None or end is None or stride is None:
        return False
    masks = {name: int(node.attributes.get(name, 0)) & 1 for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    first, last, step = (int(c.array[0]) for c in (begin, end, stride))
    part = source.shape[None if masks["begin_mask"] else first : None if masks["end_mask"] else last : step]
    if masks["shrink_axis_mask"]:
        part = source.shape[first : first + 1]
    if not part or None in part:
        return False
    sizes = np.array(part[0] if masks["shrink_axis_mask"] else part, np.int32)
    return rewriter.replace(node.output, int32(sizes))


INTEGER_FUNCTIONS: dict[str, Callable[[Node, list[np.ndarray]], np.ndarray]] = {
    "REDUCE_PROD": lambda node, values: np.asarray(np.prod(values[0], dtype=np.int32)),
    "PACK": lambda node, values: np.stack(values),
    "CONCATENATION": lambda node, values: np.concatenate(values),
    "MUL": lambda node, values: values[0] * values[1],
    "ADD": lambda node, values: values[0] + values[1],
    "SUB": lambda node, values: values[0] - values[1],
    "SELECT_V2": lambda node, values: np.where(*values),
}


def known_integers(rewriter: Rewriter, node: Node) -> bool:
    """Whole numbers computed from constants."""
    constants = [v.constant if v is not None else None for v in node.inputs]
    if node.type == "PACK" and len(constants) == 1 and constants[0] is None and node.output.rank == 1:
        # Of one number it is a list of it.
        return rewriter.change(node, "RESHAPE", [node.inputs[0], int32(np.array([1]))])
    if node.output.dtype != "INT32" or any(c is None for c in constants):
        return False
    values = [c.array for c in constants if c is not None]
    return rewriter.replace(node.output, int32(INTEGER_FUNCTIONS[node.type](node, values)))


def int32(values: np.ndarray) -> Value:
    array = np.asarray(values, np.int32)
    return Value(array.shape, "INT32", Constant(lambda: array, ("INT32", array.shape, array.tobytes())))


def own_shape(rewriter: Rewriter, node: Node) -> bool:
    """A PACK that puts a tensor's shape together again is that shape (`PackOp::fold` of TensorFlow)."""
    wholes = [_size_of(value, axis) for axis, value in enumerate(node.inputs)]
    sources = {whole.inputs[0]: whole for whole in wholes if whole is not None}
    if len(sources) != 1:
        return False
    ((x, whole),) = sources.items()
    if x is None or x.shape is None or len(x.shape) != len(node.inputs):
        return False
    for axis, value in enumerate(node.inputs):
        known = value.constant.array if value is not None and value.constant is not None else None
        if wholes[axis] is None and (known is None or known.tolist() != x.shape[axis]):
            return False
    return rewriter.replace(node.output, whole.output)


def _size_of(value: Value | None, axis: int) -> Node | None:
    """The SHAPE of which a value is the number for this axis."""
    part = value.producer if value is not None else None
    if part is None or part.type != "STRIDED_SLICE" or part.attributes.get("shrink_axis_mask") != 1:
        return None
    begin, whole = part.constant(1), part.inputs[0].producer if part.inputs[0] is not None else None
    if begin is None or begin.array.tolist() != [axis] or whole is None or whole.type != "SHAPE":
        return None
    return whole


def reshape_to_own_shape(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE of a tensor to its own shape."""
    whole = rewriter.producer(node, 1, "SHAPE")
    x = node.inputs[0]
    return whole is not None and x is not None and whole.inputs[0] is x and rewriter.replace(node.output, x)


def same_again(rewriter: Rewriter, node: Node) -> bool:
    """Functions that change nothing the second time (TensorFlow's trait TF_Idempotent)."""
    before = rewriter.producer(node, 0, node.type)
    return before is not None and rewriter.replace(node.output, before.output)


def straightened(rewriter: Rewriter, node: Node) -> bool:
    """A TRANSPOSE that leaves every axis where it is."""
    order, x = node.constant(1), node.inputs[0]
    straight = order is not None and order.array.tolist() == list(range(order.array.size))
    return straight and x is not None and rewriter.replace(node.output, x)


def cancelled(rewriter: Rewriter, node: Node) -> bool:
    """A TRANSPOSE that another one takes back, whoever else reads that (`TransposeOp::fold` of TensorFlow)."""
    before = rewriter.producer(node, 0, "TRANSPOSE")
    order, first = node.constant(1), before.constant(1) if before is not None else None
    if before is None or order is None or first is None or before.inputs[0] is None:
        return False
    both = first.array[order.array].tolist()
    return both == list(range(len(both))) and rewriter.replace(node.output, before.inputs[0])


def square_of_difference(rewriter: Rewriter, node: Node) -> bool:
    """SquareOfSub of TensorFlow's canonicalize.td; what becomes two operators only later is none."""
    less = rewriter.producer(node, 0, "SUB")
    apart = less is not None and less.activation == "NONE" and less.step is not node.step
    return less is not None and apart and rewriter.change(node, "SQUARED_DIFFERENCE", list(less.inputs))


def divided_by_root(rewriter: Rewriter, node: Node) -> bool:
    """RealDivWithSqrtDivisor of TensorFlow's canonicalize.td: x / sqrt(y) is x * rsqrt(y)."""
    root = rewriter.producer(node, 1, "SQRT")
    if root is None or rewriter.uses(root.output) != 1:
        return False
    rewriter.change(root, "RSQRT", list(root.inputs))
    root.step, root.part = node.step, node.part
    return rewriter.change(node, "MUL", list(node.inputs), node.attributes)


_OPPOSITES = {
    "EQUAL": "NOT_EQUAL", "NOT_EQUAL": "EQUAL", "GREATER": "LESS_EQUAL", "LESS_EQUAL": "GREATER",
    "GREATER_EQUAL": "LESS", "LESS": "GREATER_EQUAL",
}  # fmt: skip


def opposite(rewriter: Rewriter, node: Node) -> bool:
    """LogicalNotOfEqual and the like of TensorFlow's canonicalize.td."""
    test = rewriter.producer(node, 0, *_OPPOSITES)
    return test is not None and rewriter.change(node, _OPPOSITES[test.type], list(test.inputs))


def known_number(rewriter: Rewriter, node: Node) -> bool:
    """A CAST of a size that is known."""
    x = node.inputs[0]
    if x is None or x.constant is None or (x.dtype, node.output.dtype) != ("INT32", "FLOAT32"):
        return False
    array = x.constant.array.astype(np.float32)
    constant = Constant(lambda: array, ("FLOAT32", array.shape, array.tobytes()))
    return rewriter.replace(node.output, Value(array.shape, "FLOAT32", constant))


def slice_without_masks(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeStridedSlice: with explicit bounds and steps of 1 it is a SLICE."""
    begin, end, step = (node.constant(slot) for slot in (1, 2, 3))
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if begin is None or end is None or step is None or any(node.attributes.get(name) for name in masks):
        return False
    size = end.array - begin.array
    if (step.array != 1).any() or (begin.array < 0).any() or (size < 0).any():
        return False
    return rewriter.change(node, "SLICE", [node.inputs[0], node.inputs[1], int32(size)])
