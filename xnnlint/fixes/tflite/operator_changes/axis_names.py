"""Operators that work alike on a value in another form, and how the axes that they name are renamed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import is_constant
from xnnlint.fixes.tflite.operator_changes.value_forms import Form

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit

_TYPES = ("FLOAT32", "BOOL")
# Element by element: every input is a map, or a constant that is broadcast to one.
_UNARY = (
    *(
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RELU_0_TO_1",
        "ABS",
        "NEG",
        "EXP",
        "LOG",
        "SQRT",
        "RSQRT",
        "SQUARE",
        "LOGISTIC",
    ),
    *("TANH", "HARD_SWISH", "ELU", "GELU", "LEAKY_RELU", "FLOOR", "CEIL", "ROUND", "SIN", "COS", "SIGN", "LOGICAL_NOT"),
)
_BINARY = (
    *(
        "ADD",
        "SUB",
        "MUL",
        "DIV",
        "MAXIMUM",
        "MINIMUM",
        "SQUARED_DIFFERENCE",
        "POW",
        "PRELU",
        "GREATER",
        "GREATER_EQUAL",
    ),
    *("LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL", "LOGICAL_AND", "LOGICAL_OR"),
)
_ELEMENTWISE = frozenset({*_UNARY, *_BINARY, "SELECT", "SELECT_V2"})
_PADDINGS = frozenset({"PAD", "PADV2", "MIRROR_PAD"})
_REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"})


def read_maps(graph: GraphEdit, op: Op) -> list[int]:
    """What an operator reads that takes another form with it; the rest are constants."""
    if reads_elements(op):
        return [t for t in op.inputs if t >= 0 and not is_constant(graph, t)]
    return [op.inputs[1] if op.type == "SPLIT" else op.inputs[0]]


def reads_elements(op: Op) -> bool:
    """Whether an operator reads all that it reads in one form, constants too."""
    return op.type in _ELEMENTWISE or op.type == "CONCATENATION"


def can_move(graph: GraphEdit, op: Op, form: Form) -> bool:
    """Whether an operator of a regular form works alike on values in another form."""
    if not (reads_elements(op) or op.type in _AXES) or not op.inputs or min(*op.inputs, *op.outputs, 0) < 0:
        return False
    maps = read_maps(graph, op)
    for t in (*maps, *op.outputs):
        if len(graph.shape(t)) != form.rank or graph.dtype(t) not in _TYPES or graph.is_quantized(t):
            return False
        if any(d < 0 for d in graph.signature(t)[1:]):
            return False
    if reads_elements(op):
        moved = set(maps)
        constants = [t for t in op.inputs if t not in moved]
        plain = all(graph.constant(t) is not None and len(graph.shape(t)) <= form.rank for t in constants)
        # A vector as its condition chooses among whole batches.
        plain = plain and (op.type != "SELECT" or op.inputs[0] in maps)
        return bool(maps) and plain and (op.type not in _AXES or _AXES[op.type](graph, op, form) is not None)
    return _AXES[op.type](graph, op, form) is not None


def rename(graph: GraphEdit, op: Op, form: Form) -> None:
    """Names the axes of an operator that can move as they are in the form."""
    renaming = _AXES[op.type](graph, op, form) if op.type in _AXES else None
    if renaming is not None:
        renaming()


def constant_in(graph: GraphEdit, tensor: int, form: Form) -> int:
    """A constant that is broadcast to a value, for the same value in a form."""
    values = graph.constant(tensor)
    if values is None or values.size == 1:
        return tensor
    full = values.reshape((1,) * (form.rank - values.ndim) + values.shape)
    moved = full.transpose([axis for axis in form.axes if axis is not None]).reshape(form.shape(full.shape))
    return graph.add_constant(f"{graph.name(tensor)}_moved", _own(moved))


def pools(graph: GraphEdit, op: Op, form: Form) -> bool:
    """Whether an operator pools the whole map, in a form: other fixes let it read the value in that form."""
    axes = pooled_axes(graph, op, form)
    return axes is not None and axes in form.pooled


def pooled_axes(graph: GraphEdit, op: Op, form: Form) -> tuple[int, ...] | None:
    """Over which axes of a form a MEAN or SUM is; None for other operators."""
    axes = graph.constant(op.inputs[1]) if op.type in ("MEAN", "SUM") and len(op.inputs) == 2 else None
    if axes is None or len(graph.shape(op.inputs[0])) != form.rank:
        return None
    return tuple(sorted({*(form.place(int(axis)) for axis in axes.reshape(-1)), *form.added}))


Renaming = Callable[[], None]
"""Names the axes of an operator otherwise."""


def _vectors(graph: GraphEdit, op: Op, form: Form, fillers: Mapping[int, object]) -> Renaming | None:
    """Constants with a row for each axis, by slot, with the row for one that was not there."""
    if len(op.inputs) <= max(fillers):
        return None
    values = {slot: graph.constant(op.inputs[slot]) for slot in fillers}
    if any(v is None or v.shape[:1] != (form.rank,) for v in values.values()):
        return None

    def renaming() -> None:
        import numpy as np

        for slot, value in values.items():
            assert value is not None
            rows = form.arranged(list(value), np.full_like(value[0], fillers[slot]))
            op.inputs[slot] = graph.add_constant(f"{graph.name(op.inputs[slot])}_moved", _own(np.stack(rows)))

    return renaming


def _paddings(graph: GraphEdit, op: Op, form: Form) -> Renaming | None:
    return _vectors(graph, op, form, {1: 0})


def _slice(graph: GraphEdit, op: Op, form: Form) -> Renaming | None:
    return _vectors(graph, op, form, {1: 0, 2: 1})


def _strided_slice(graph: GraphEdit, op: Op, form: Form) -> Renaming | None:
    options = op.options
    if options is None or options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask:
        return None
    vectors = _vectors(graph, op, form, {1: 0, 2: 1, 3: 1})
    if vectors is None:
        return None

    def renaming() -> None:
        vectors()
        for mask in ("beginMask", "endMask"):
            bits = int(getattr(options, mask))
            now = [bits >> axis & 1 for axis in range(form.rank)]
            setattr(options, mask, sum(bit << place for place, bit in enumerate(form.arranged(now, 0))))

    return renaming


def _option(graph: GraphEdit, op: Op, form: Form) -> Renaming | None:
    """The axis of CONCATENATION and GATHER."""
    options = op.options
    if options is None or getattr(options, "batchDims", None):
        return None
    if op.type == "GATHER" and (graph.constant(op.inputs[1]) is None or len(graph.shape(op.inputs[1])) != 1):
        return None

    def renaming() -> None:
        options.axis = form.place(options.axis)

    return renaming


def _listed(slot: int) -> Callable[[GraphEdit, Op, Form], Renaming | None]:
    """Axes in a constant."""

    def find(graph: GraphEdit, op: Op, form: Form) -> Renaming | None:
        import numpy as np

        values = graph.constant(op.inputs[slot]) if len(op.inputs) > slot else None
        if values is None or (op.type in _REDUCTIONS and not (op.options is not None and op.options.keepDims)):
            return None

        def renaming() -> None:
            # The runtime ends a cluster at poolings over [1, 2], and at no other spelling.
            moved = sorted(form.place(int(axis)) for axis in values.reshape(-1))
            stored = np.array(moved, np.int32)
            if op.type in _REDUCTIONS and form.added and values.size:
                stored = np.array(sorted({*moved, *form.added}), np.int32)
            elif values.ndim != 1:
                stored = stored.reshape(values.shape)
            op.inputs[slot] = graph.add_constant(f"{graph.name(op.inputs[slot])}_moved", stored)

        return renaming

    return find


_AXES: dict[str, Callable[[GraphEdit, Op, Form], Renaming | None]] = {
    **dict.fromkeys(_PADDINGS, _paddings),
    **dict.fromkeys(_REDUCTIONS, _listed(1)),
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "CONCATENATION": _option,
    "GATHER": _option,
    "SPLIT": _listed(0),
}


def _own(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(values)
