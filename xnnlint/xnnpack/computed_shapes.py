"""Shapes that TFLite computes at run time: what SHAPE and the integer operators behind it give.

A pooling with keepdims that ends a cluster reports a wrong shape (see `execution`). Keras models with a dynamic batch
compute the target of a RESHAPE from such shapes, so whether the model still runs is a matter of arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xnnlint.model.graph import Graph, Operator, Tensor

Shapes = dict[int, tuple[int, ...]]


def _strided_slice(op: Operator, values: list[np.ndarray]) -> Any:
    data, begins, ends, strides = values
    masks = {name: int(op.attributes.get(name, 0)) for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    begin = None if masks["begin_mask"] & 1 else int(begins[0])
    end = None if masks["end_mask"] & 1 else int(ends[0])
    if masks["shrink_axis_mask"] & 1:
        return data[int(begins[0])]
    return data[begin : end : int(strides[0])]


def _concatenation(op: Operator, values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(v) for v in values])


_OPERATORS: dict[str, Callable[[Operator, list[np.ndarray]], Any]] = {
    "STRIDED_SLICE": _strided_slice,
    "PACK": lambda op, values: np.stack([v.reshape(()) for v in values]),
    "GATHER": lambda op, values: values[0][values[1]],
    "REDUCE_PROD": lambda op, values: np.prod(values[0]),
    "CONCATENATION": _concatenation,
    "CAST": lambda op, values: values[0],
    "MUL": lambda op, values: values[0] * values[1],
    "ADD": lambda op, values: values[0] + values[1],
    "SUB": lambda op, values: values[0] - values[1],
}


def evaluate(graph: Graph, tensor: Tensor, shapes: Shapes) -> np.ndarray | None:
    """The integers that a tensor holds at run time, None where they cannot be told.

    Args:
        shapes: tensors whose shape at run time differs from the model's.
    """
    if tensor.stored is not None:
        return np.asarray(tensor.stored()).reshape(tensor.shape)
    op = graph.producer(tensor.index)
    if op is None:
        return None
    if op.type == "SHAPE":
        return np.array(shapes.get(op.inputs[0], graph.tensors[op.inputs[0]].shape))
    if op.type not in _OPERATORS:
        return None
    values = [evaluate(graph, graph.tensors[t], shapes) for t in op.inputs if t >= 0]
    if any(v is None for v in values):
        return None
    try:
        return np.asarray(_OPERATORS[op.type](op, values))  # type: ignore[arg-type]
    except (IndexError, ValueError):
        return None


def depends_on(graph: Graph, tensor: int, source: int) -> bool:
    """Whether a computed shape comes from the shape of another tensor."""
    pending, seen = [tensor], set()
    while pending:
        op = graph.producer(pending.pop())
        if op is None or op.index in seen:
            continue
        seen.add(op.index)
        if op.type == "SHAPE":
            if op.inputs[0] == source:
                return True
        elif op.type in _OPERATORS:
            pending += [t for t in op.inputs if t >= 0]
    return False


# The input that says what shape an operator's output has.
_SHAPE_INPUT = {
    "RESHAPE": 1, "RESIZE_BILINEAR": 1, "RESIZE_NEAREST_NEIGHBOR": 1, "STRIDED_SLICE": 2, "TILE": 1, "TRANSPOSE_CONV": 0
}  # fmt: skip
# What TFLite computes while it prepares a model, if it can. Everything else, PACK say, waits for the run.
_COMPUTED_BEFORE = ("CONCATENATION", "GATHER", "MUL", "REDUCE_PROD", "RESHAPE", "STRIDED_SLICE")


def has_late_shape(graph: Graph, op: Operator) -> bool:
    """Whether TFLite learns the shape of an operator's output only when it runs the operator.

    Source: google-ai-edge/LiteRT tflite/kernels, `Prepare` of each (`IsConstantOrPersistentTensor`); seen in runs.
    """
    place = _SHAPE_INPUT.get(op.type)
    if place is None or place >= len(op.inputs) or op.inputs[place] < 0:
        return False
    pending, seen = [op.inputs[place]], set()
    while pending:
        tensor = pending.pop()
        if tensor < 0 or tensor in seen or graph.tensors[tensor].is_constant:
            continue
        seen.add(tensor)
        producer = graph.producer(tensor)
        if producer is not None and producer.type == "SHAPE":
            continue
        if producer is None or producer.type not in _COMPUTED_BEFORE:
            return True
        pending += producer.inputs
    return False


# Their output has the shape of their first input, or of all inputs broadcast.
_SAME_SHAPE = frozenset({"ADD", "DIV", "LOG_SOFTMAX", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SOFTMAX", "SUB"})


def shapes_at_run_time(graph: Graph) -> Shapes:
    """Shapes of tensors that the file does not tell, with the batch and sizes that it stores for the inputs.

    Dimensions that the converter does not know (-1 behind a Reshape((-1, classes)), say) are stored as 1.
    """
    shapes: Shapes = {}
    for op in graph.operators:
        if len(op.outputs) != 1 or -1 not in (graph.tensors[op.outputs[0]].shape_signature or ())[1:]:
            continue
        before = [shapes.get(t, graph.tensors[t].shape) for t in op.inputs if t >= 0]
        shape = _shape_at_run_time(graph, op, before)
        if shape is not None:
            shapes[op.outputs[0]] = shape
    return shapes


def _shape_at_run_time(graph: Graph, op: Operator, before: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of an operator's output, None where it cannot be told."""
    if op.type == "RESHAPE" and len(before) == 2:
        target = evaluate(graph, graph.tensors[op.inputs[1]], {})
        sizes = [] if target is None else target.reshape(-1).tolist()
        known = math.prod(n for n in sizes if n != -1)
        return tuple(math.prod(before[0]) // known if n == -1 else n for n in sizes) if known and sizes else None
    if op.type == "CONCATENATION" and before and len({len(s) for s in before}) == 1 and before[0]:
        axis = int(op.attributes.get("axis", 0)) % len(before[0])
        return tuple(sum(s[d] for s in before) if d == axis else n for d, n in enumerate(before[0]))
    if op.type in _ELEMENTWISE or op.type in _SAME_SHAPE:
        try:
            return tuple(np.broadcast_shapes(*before))
        except ValueError:
            return None
    return None


def impossible_reshapes(graph: Graph, tensor: int, shape: tuple[int, ...]) -> Iterator[tuple[Operator, list[int]]]:
    """Operators that TFLite refuses because of a tensor's wrong shape, with the shape that each would get.

    SQUEEZE drops dimensions that must be 1; a RESHAPE whose target is computed from the shape must keep all elements.
    """
    right = graph.tensors[tensor].shape
    for op in graph.operators:
        if op.type == "SQUEEZE" and op.inputs[0] == tensor:
            dropped = [int(a) for a in op.attributes.get("squeeze_dims", ())]
            if any(shape[a] != 1 for a in dropped if -len(shape) <= a < len(shape)) or not dropped:
                yield op, list(shape)
        if op.type != "RESHAPE" or len(op.inputs) < 2 or not depends_on(graph, op.inputs[1], tensor):
            continue
        target = evaluate(graph, graph.tensors[op.inputs[1]], {tensor: shape})
        data = right if op.inputs[0] == tensor else graph.tensors[op.inputs[0]].shape
        if target is None or not _fits(math.prod(data), target.reshape(-1).tolist()):
            yield op, [] if target is None else target.reshape(-1).tolist()


def misled_readers(graph: Graph, tensor: int) -> Iterator[Operator]:
    """Operators outside of the partition that get a wrong shape, and do not take just the elements in their order."""
    pending, seen = [tensor], {tensor}
    while pending:
        for op in graph.consumers(pending.pop()):
            if op.type in ("SHAPE", "SQUEEZE", "RESHAPE", "EXPAND_DIMS") or _is_flattening(op):
                continue  # `impossible_reshapes` tells where these fail.
            if op.type not in _ELEMENTWISE:
                yield op
            else:
                pending += [t for t in op.outputs if t not in seen]
                seen.update(op.outputs)


def _is_flattening(op: Operator) -> bool:
    return op.type == "FULLY_CONNECTED" and not op.attributes.get("keep_num_dims")


# They keep the shape of their input, right or wrong, and look at each element by itself.
_ELEMENTWISE = frozenset(
    {
        "ABS",
        "CAST",
        "CEIL",
        "COS",
        "ELU",
        "EXP",
        "FLOOR",
        "GELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOG",
        "LOGISTIC",
        "NEG",
        "RELU",
        "RELU6",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "ROUND",
        "RSQRT",
        "SIGN",
        "SIN",
        "SQRT",
        "SQUARE",
        "TANH",
    }
)


def _fits(elements: int, target: list[int]) -> bool:
    known = math.prod(d for d in target if d != -1)
    return elements % known == 0 if -1 in target and known else elements == known
