"""Operators of a file in words, and which of them a change removes and adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.fixes.tflite import object_api as schema

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op


class OperatorLines:
    """Every operator of a graph in words: type, shapes of what it reads and writes, options that matter.

    Only those that are not as they were are put into words again: in a large model that takes longer than a change.
    """

    def __init__(self, graph: GraphEdit) -> None:
        self._graph = graph
        self._known: dict[str, tuple[tuple[object, ...], str]] = {}
        self.update()

    def update(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The lines that went since the last time, and those that came."""
        before, now = self._known, {}
        for op in self._graph.operators:
            state = _state(self._graph, op)
            known = before.get(op.uid)
            now[op.uid] = known if known is not None and known[0] == state else (state, _line(self._graph, op))
        self._known = now
        removed = tuple(line for uid, (_, line) in before.items() if uid not in now or now[uid][1] != line)
        added = tuple(line for uid, (_, line) in now.items() if uid not in before or before[uid][1] != line)
        return removed, added


def _state(graph: GraphEdit, op: Op) -> tuple[object, ...]:
    """What the line of an operator is made of, in a form that is quick to compare."""
    tensors = [graph.tensors[t] for t in (*op.inputs, *op.outputs) if t >= 0]
    options = vars(op.options).values() if op.options is not None else ()
    return (
        (op.type, *op.inputs, None, *op.outputs),
        *((t.buffer, t.type, t.sparsity is None, _plain(t.shape), _plain(t.shapeSignature)) for t in tensors),
        *map(_plain, options),
    )


def _plain(value: Any) -> Any:
    """A vector of a table, which may be an array, as something that compares."""
    return value.tobytes() if hasattr(value, "tobytes") else value


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
