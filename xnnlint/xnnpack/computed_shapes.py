"""Shapes that TFLite computes at run time: what SHAPE and the integer operators behind it give.

A pooling with keepdims that ends a cluster reports a wrong shape (see `execution`). Keras models with a dynamic batch
compute the target of a RESHAPE from such shapes, so whether the model still runs is a matter of arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from xnnlint.model.graph import Graph, Operator, Tensor
from xnnlint.xnnpack.output_shapes import Given, output_shapes

Shapes = dict[int, tuple[int, ...]]


def _strided_slice(op: Operator, values: list[np.ndarray]) -> Any:
    data, *bounds = values
    begins, ends, strides = (b.reshape(-1).tolist() for b in bounds)
    if op.attributes.get("ellipsis_mask") or op.attributes.get("new_axis_mask"):
        raise ValueError("a slice that changes the rank in other ways")
    masks = [int(op.attributes.get(f"{name}_mask", 0)) for name in ("begin", "end", "shrink_axis")]
    index: list[int | slice] = []
    for axis, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        from_start, to_end, one = (mask >> axis & 1 for mask in masks)
        end = begin + end if op.attributes.get("offset") else end
        index.append(begin if one else slice(None if from_start else begin, None if to_end else end, stride))
    return data[tuple(index)]


def _concatenation(op: Operator, values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(v) for v in values])


def _cast(op: Operator, values: list[np.ndarray]) -> np.ndarray:
    to_integer = op.attributes.get("out_data_type") in ("INT32", "INT64")
    return values[0].astype(np.int64) if to_integer else values[0]


_OPERATORS: dict[str, Callable[[Operator, list[np.ndarray]], Any]] = {
    "STRIDED_SLICE": _strided_slice,
    "PACK": lambda op, values: np.stack(values, int(op.attributes.get("axis", 0))),
    "GATHER": lambda op, values: values[0][values[1]],
    "REDUCE_PROD": lambda op, values: np.prod(values[0]),
    "CONCATENATION": _concatenation,
    "CAST": _cast,
    "CEIL": lambda op, values: np.ceil(values[0]),
    "DIV": lambda op, values: (np.floor_divide if values[0].dtype.kind == "i" else np.divide)(*values),
    "EXPAND_DIMS": lambda op, values: np.expand_dims(values[0], int(values[1].reshape(-1)[0])),
    "FLOOR": lambda op, values: np.floor(values[0]),
    "FLOOR_DIV": lambda op, values: values[0] // values[1],
    "FLOOR_MOD": lambda op, values: values[0] % values[1],
    "MAXIMUM": lambda op, values: np.maximum(*values),
    "MINIMUM": lambda op, values: np.minimum(*values),
    "RESHAPE": lambda op, values: values[0].reshape(values[1].reshape(-1)),
    "SQUEEZE": lambda op, values: values[0].reshape(-1)[:1] if values[0].size == 1 else values[0],
    "MUL": lambda op, values: values[0] * values[1],
    "ADD": lambda op, values: values[0] + values[1],
    "SUB": lambda op, values: values[0] - values[1],
}


# Shapes are short, and come about in a few steps.
_LARGEST, _DEEPEST = 1024, 200


def evaluate(graph: Graph, tensor: Tensor, shapes: Shapes) -> np.ndarray | None:
    """The numbers that a tensor holds at run time, None where they cannot be told.

    Args:
        shapes: tensors whose shape at run time differs from the model's.
    """
    return _evaluate(graph, tensor, shapes, {}, 0)


def _evaluate(
    graph: Graph, tensor: Tensor, shapes: Shapes, known: dict[int, np.ndarray | None], depth: int
) -> np.ndarray | None:
    if tensor.index in known or depth > _DEEPEST:
        return known.get(tensor.index)
    known[tensor.index] = None  # a tensor that depends on itself
    op = graph.producer(tensor.index)
    found: Any = None
    try:
        if tensor.stored is not None:
            small = math.prod(tensor.shape) <= _LARGEST
            found = np.asarray(tensor.stored()).reshape(tensor.shape) if small else None
        elif op is not None and op.type == "SHAPE":
            found = np.array(shapes.get(op.inputs[0], graph.tensors[op.inputs[0]].shape))
        elif op is not None and op.type in _OPERATORS:
            inputs = [_evaluate(graph, graph.tensors[t], shapes, known, depth + 1) for t in op.inputs if t >= 0]
            values = [value for value in inputs if value is not None]
            found = _OPERATORS[op.type](op, values) if len(values) == len(inputs) else None
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        found = None
    known[tensor.index] = np.asarray(found) if found is not None and np.size(found) <= _LARGEST else None
    return known[tensor.index]


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


# The inputs that say what shape an operator's output has: where TFLite does not know one before the run, the output is
# made a dynamic tensor. Of what has no such inputs here (WHERE of a computed condition, UNIQUE) that is always so.
_SHAPE_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "BROADCAST_TO", "EXPAND_DIMS", "MIRROR_PAD", "ONE_HOT", "PAD"), (1,)),
    **dict.fromkeys(("PADV2", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TILE", "TOPK_V2"), (1,)),
    **dict.fromkeys(("MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"), (1,)),
    **dict.fromkeys(("MULTINOMIAL", "RFFT2D", "SPARSE_TO_DENSE", "TRANSPOSE"), (1,)),
    **dict.fromkeys(("FILL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "SPLIT", "TRANSPOSE_CONV"), (0,)),
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "SLICE", "SPACE_TO_BATCH_ND", "SPLIT_V"), (1, 2)),
    **dict.fromkeys(("RANGE", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM"), (0, 1, 2)),
    **dict.fromkeys(("SEGMENT_SUM",), (0, 1)),
    "CONV_3D_TRANSPOSE": (0,),
    "NON_MAX_SUPPRESSION_V4": (2,),
    "NON_MAX_SUPPRESSION_V5": (2,),
    "SCATTER_ND": (2,),
    "STRIDED_SLICE": (1, 2, 3),
    "UNIQUE": (0,),
    "WHERE": (0,),
}
# What TFLite computes while it prepares a model, if it can. Everything else, PACK say, waits for the run.
_COMPUTED_BEFORE = ("CONCATENATION", "GATHER", "MUL", "REDUCE_PROD", "RESHAPE", "STRIDED_SLICE")


def has_late_shape(graph: Graph, op: Operator) -> bool:
    """Whether TFLite learns the shape of an operator's output only when it runs the operator.

    Source: google-ai-edge/LiteRT tflite/kernels, `SetTensorToDynamic` in `Prepare` of each where
    `IsConstantOrPersistentTensor` does not hold; seen in runs.
    """
    slots = _SHAPE_INPUTS.get(op.type, ())
    return any(slot < len(op.inputs) and _is_late(graph, op.inputs[slot]) for slot in slots)


def _is_late(graph: Graph, tensor: int) -> bool:
    """Whether the values in a tensor wait for the run."""
    pending, seen = [tensor], set()
    while pending:
        tensor = pending.pop()
        if tensor < 0 or tensor in seen or graph.tensors[tensor].is_constant:
            continue
        seen.add(tensor)
        producer = graph.producer(tensor)
        if producer is not None and producer.type in ("RANK", "SHAPE"):
            continue
        if producer is None or producer.type not in _COMPUTED_BEFORE:
            return True
        pending += producer.inputs
    return False


def is_open(tensor: Tensor) -> bool:
    """Whether the file does not hold the size of a tensor; in older files one of unknown rank looks like a scalar."""
    return tensor.is_dynamic or (not tensor.shape and not tensor.is_constant)


def shapes_at_run_time(graph: Graph) -> dict[int, tuple[int, ...] | None]:
    """Shapes of computed tensors whose size the file does not hold, with that of one input of unknown sizes as stored:
    dimensions that the converter does not know are stored as 1. None where a shape cannot be told.
    """
    shapes: dict[int, tuple[int, ...] | None] = {}
    known: dict[int, tuple[int, ...]] = {}
    for op in graph.operators:
        if not any(t >= 0 and is_open(graph.tensors[t]) for t in op.outputs):
            continue
        made = _made(graph, op, shapes, known)
        for slot, tensor in enumerate(op.outputs):
            if tensor >= 0 and is_open(graph.tensors[tensor]):
                shape = made[slot] if made is not None and slot < len(made) else None
                shapes[tensor] = shape
                known.pop(tensor, None)  # A damaged file may have it written twice.
                if shape is not None:
                    known[tensor] = shape
    return shapes


def _made(
    graph: Graph, op: Operator, shapes: Mapping[int, tuple[int, ...] | None], known: Shapes
) -> list[tuple[int, ...]] | None:
    """
    Args:
        known: those of `shapes` that can be told.
    """
    before: list[tuple[int, ...]] = []
    for tensor in op.inputs:
        shape = () if tensor < 0 else shapes.get(tensor, graph.tensors[tensor].shape)
        if shape is None:
            return None
        before.append(shape)
    return output_shapes(Given(op, before, lambda slot: _values(graph, op.inputs[slot], known)))


def _values(graph: Graph, tensor: int, shapes: Shapes) -> np.ndarray | None:
    return evaluate(graph, graph.tensors[tensor], shapes) if tensor >= 0 else None


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
