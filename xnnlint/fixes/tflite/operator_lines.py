"""Operators of a file in words, and which of them a change removes and adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xnnlint.fixes.tflite import object_api as schema

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op


def lines(graph: GraphEdit) -> dict[str, str]:
    """Every operator by uid, in words: type, shapes of what it reads and writes, options that matter."""
    return {op.uid: _line(graph, op) for op in graph.operators}


def difference(before: dict[str, str], after: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    removed = tuple(line for uid, line in before.items() if after.get(uid) != line)
    added = tuple(line for uid, line in after.items() if before.get(uid) != line)
    return removed, added


def _line(graph: GraphEdit, op: Op) -> str:
    inputs = ", ".join(_operand(graph, t) for t in op.inputs if t >= 0)
    outputs = ", ".join(_dims(graph, t) for t in op.outputs)
    options = vars(op.options) if op.options is not None else {}
    told = [f"{key}={_value(key, value)}" for key, value in options.items() if _matters(key, value)]
    return f"{op.type}({inputs}{', ' if told else ''}{', '.join(told)}) -> {outputs}"


def _operand(graph: GraphEdit, tensor: int) -> str:
    if graph.data(tensor) is None:
        return _dims(graph, tensor)
    dtype = graph.dtype(tensor)
    values = graph.constant(tensor) if dtype.startswith("INT") else None
    if values is not None and values.size <= 8:
        return f"constant {values.reshape(-1).tolist()}"
    kind = "sparse constant" if graph.tensors[tensor].sparsity is not None else "constant"
    return f"{kind} {_dims(graph, tensor)}" + ("" if dtype == "FLOAT32" else f" {dtype}")


def _dims(graph: GraphEdit, tensor: int) -> str:
    return "x".join(str(d) if d >= 0 else "?" for d in graph.signature(tensor)) or "scalar"


def _matters(key: str, value: object) -> bool:
    if key in ("keepDims", "keepNumDims", "padding"):
        return True
    return isinstance(value, int) and key.startswith("stride") and value > 1


def _value(key: str, value: object) -> object:
    return schema.name_of("Padding", value) if key == "padding" and isinstance(value, int) else value
