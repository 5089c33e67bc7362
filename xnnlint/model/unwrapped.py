"""A model that was converted with its pruning wrappers, as it will be once `strip_pruning` took them off.

A wrapped layer's kernel is a variable: read, multiplied by its mask, assigned, read again, and put into the runtime's
order. The mask is a constant of the file, so that the zeros of the kernel are known. Behind constant kernels the
converter folds scales and offsets, those of a batch normalization, into the convolution (tensorflow/tensorflow,
tensorflow/compiler/mlir/lite/transforms/optimize_patterns.td and optimize.cc, `FuseBinaryOpToFollowingConv2D` and its
kin for the convolution in front).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec.structs import replace

from xnnlint.model.converter_storage import WEIGHTED
from xnnlint.model.graph import Graph, Model, Operator, Tensor
from xnnlint.model.weights import MAX_DECODED_BYTES, dense_values, trace

PREFIX = "prune_low_magnitude"
"""What PruneLowMagnitude puts in front of a layer's name."""
_FILTER = 1


def wrapped_operators(graph: Graph) -> list[Operator]:
    """The operators of wrapped layers, whose weights other operators compute."""
    return [op for op in graph.operators if op.type in WEIGHTED and PREFIX in op.name and _is_computed(graph, op)]


def unwrapped(model: Model) -> tuple[Model, tuple[int, ...]] | None:
    """The model without its wrappers; each kernel has its zeros, and other values elsewhere.

    Returns:
        The model, and for each operator of its main graph the index that it had. None where nothing is wrapped, or a
        mask is not found.

    Raises:
        XnnlintError: a mask is too large to be decoded.
    """
    graph = model.main
    wrapped = wrapped_operators(graph)
    if not wrapped:
        return None
    tensors, changed = list(graph.tensors), dict(enumerate(graph.operators))
    for op in wrapped:
        mask = _mask(graph, op.inputs[_FILTER])
        if mask is None:
            return None
        tensors.append(_constant(len(tensors), graph.tensors[op.inputs[_FILTER]], mask))
        inputs = (op.inputs[0], len(tensors) - 1, *op.inputs[_FILTER + 1 :])
        last = _last_folded(graph, op)
        attributes = op.attributes | {key: value for key, value in last.attributes.items() if key.startswith("fused")}
        changed[op.index] = replace(op, inputs=inputs, outputs=last.outputs, attributes=attributes)
        if last is not op:
            del changed[last.index]
    left = Graph(tensors, _numbered(changed.values()), graph.inputs, graph.outputs)
    places = tuple(place for place, is_read in zip(changed, _read(left), strict=True) if is_read)
    operators = _numbered(changed[place] for place in places)
    stripped = Graph(tensors, operators, graph.inputs, graph.outputs, graph.name)
    return replace(model, graphs=[stripped], signatures=[s for s in model.signatures if s.subgraph == 0]), places


def _is_computed(graph: Graph, op: Operator) -> bool:
    return graph.input_tensor(op, _FILTER) is not None and trace(graph, op.inputs[_FILTER])[0] is None


def _mask(graph: Graph, tensor: int) -> np.ndarray | None:
    """Which elements of a computed kernel are kept, in the kernel's shape; None where that is not found."""
    source, _ = trace(graph, tensor)
    if source is not None:
        return np.asarray(dense_values(source, MAX_DECODED_BYTES) != 0)
    producer = graph.producer(tensor)
    if producer is None:
        return None
    if producer.type == "READ_VARIABLE":
        assigned = (op for op in graph.consumers(producer.inputs[0]) if op.type == "ASSIGN_VARIABLE")
        return next((mask for op in assigned if (mask := _mask(graph, op.inputs[1])) is not None), None)
    if producer.type == "MUL":
        constants = [t for t in producer.inputs if graph.tensors[t].is_constant]
        return _mask(graph, constants[0]) if len(constants) == 1 else None
    if producer.type not in ("TRANSPOSE", "RESHAPE"):
        return None
    mask = _mask(graph, producer.inputs[0])
    if mask is None or producer.type == "RESHAPE":
        return mask if mask is None else mask.reshape(graph.tensors[tensor].shape)
    order, _ = trace(graph, producer.inputs[1])
    return None if order is None else mask.transpose(dense_values(order, MAX_DECODED_BYTES))


def _constant(index: int, kernel: Tensor, mask: np.ndarray) -> Tensor:
    values = np.ascontiguousarray(mask, np.float32).reshape(-1)
    return Tensor(
        index, kernel.name, "FLOAT32", kernel.shape, kernel.shape, stored=lambda: values, stored_bytes=values.nbytes
    )


def _last_folded(graph: Graph, op: Operator) -> Operator:
    """The last of the scales and offsets behind a convolution; the convolution itself where there are none."""
    while op.attributes.get("fused_activation_function") == "NONE" and op.outputs[0] not in graph.outputs:
        readers = graph.consumers(op.outputs[0])
        if len(readers) != 1 or readers[0].type not in ("MUL", "ADD"):
            break
        channels = graph.output_tensor(op).shape[-1]
        others = [graph.tensors[t] for t in readers[0].inputs if t != op.outputs[0]]
        if not others or not all(t.is_constant and int(np.prod(t.shape)) in (1, channels) for t in others):
            break
        op = readers[0]
    return op


def _numbered(operators: Iterable[Operator]) -> list[Operator]:
    return [replace(op, index=number) for number, op in enumerate(operators)]


def _read(graph: Graph) -> list[bool]:
    """For each operator, whether an output of the model has need of it, or a variable that such an operator reads."""
    needed = graph.needed(graph.outputs)
    reads = any(op.type == "READ_VARIABLE" and op.outputs[0] in needed for op in graph.operators)
    writes = ("CALL_ONCE", "ASSIGN_VARIABLE", "VAR_HANDLE") if reads else ()
    return [op.type in writes or any(t in needed for t in op.outputs) for op in graph.operators]
