"""Operators on a map in NCHW, between a TRANSPOSE to it and one back, as exporters from PyTorch write them.

XNNPACK has no NCHW kernel for TRANSPOSE, and takes each for what it says: a copy in another order. What lies between
two of them works element by element, or along axes that can be named otherwise: on the map as it was, it gives the same
numbers, and the two are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import Struct, field

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import TO_NCHW, TO_NHWC, add_transpose, is_constant
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.map_pooling import HEIGHT_AND_WIDTH_IN_NCHW, add_reshape
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit

RANK = 4
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
_PLACE = attrgetter("place")


class ComputeInNhwc(OperatorFixer):
    """Everything that hangs together between such operators, at once."""

    name = "compute-in-nhwc"
    stage = Stage.NOTATION
    fulfils = frozenset(
        {
            Condition.NCHW_KERNEL,
            Condition.DELEGATED,
            Condition.BRANCH_END,
            Condition.CLUSTER_END,
            Condition.CONSUMER_INSIDE,
            Condition.OUTPUT_OUTSIDE,
        }
    )
    summary = (
        "ADD, PAD, CONCATENATION, activations and the like between TRANSPOSE to NCHW and back -> on the map in NHWC, "
        "without them"
    )

    def sites(self, view: View) -> Iterable[Op]:
        movable, seen = _Movable(view), set[str]()
        for op in view.graph.operators:
            if op.uid not in seen and movable(op):
                region = _Region.around(op, view.graph, movable)
                seen.update(inner.uid for inner in region.inner)
                if region.is_worth_it:
                    yield region.operators[0]

    def apply(self, view: View, op: Op) -> str:
        region = _Region.around(op, view.graph, _Movable(view))
        if region.operators[0] is not op or not region.is_worth_it:
            raise CannotChange("it is not between a TRANSPOSE to NCHW and one back")
        types = ", ".join(sorted({inner.type for inner in region.inner}))
        _Rewriting(view, region).run()
        return f"compute {types} on the map in NHWC, without the TRANSPOSE on both sides"


class _Movable:
    """Whether an operator works alike on a map in another order, found once for each while nothing is changed."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[str, bool] = {}

    def __call__(self, op: Op) -> bool:
        if op.uid not in self._known:
            self._known[op.uid] = self._view.is_regular(op) and _can_move(self._view.graph, op)
        return self._known[op.uid]


class _Region(Struct):
    """Operators that hang together, each list in execution order.

    Attributes:
        inner: those on maps in NCHW.
        before: the TRANSPOSE to NCHW that they read.
        after: the TRANSPOSE back that read them.
    """

    graph: GraphEdit
    inner: list[Op] = field(default_factory=list)
    before: list[Op] = field(default_factory=list)
    after: list[Op] = field(default_factory=list)

    @classmethod
    def around(cls, start: Op, graph: GraphEdit, movable: _Movable) -> _Region:
        """All that hangs together with an operator."""
        region = cls(graph)
        pending, seen = [start], {start.uid}
        while pending:
            op = pending.pop()
            inside, enters = movable(op), _transposes(graph, op, TO_NCHW)
            (region.inner if inside else region.before if enters else region.after).append(op)
            # From a TRANSPOSE back nothing is looked for, unless it is what there is to begin with.
            around = [graph.producer(t) for t in _maps(graph, op)] if inside or (op is start and not enters) else []
            if inside or enters:
                around += [reader for t in op.outputs for reader in graph.consumers(t)]
            read = set(op.inputs)
            for other in around:
                if other is None or other.uid in seen:
                    continue
                if movable(other) or _borders(other, graph, inside, writes=not read.isdisjoint(other.outputs)):
                    seen.add(other.uid)
                    pending.append(other)
        for part in (region.inner, region.before, region.after):
            part.sort(key=_PLACE)
        return region

    @property
    def operators(self) -> list[Op]:
        return sorted((*self.inner, *self.before, *self.after), key=_PLACE)

    @property
    def is_worth_it(self) -> bool:
        """Whether there is no more TRANSPOSE around it when it is moved than now."""
        # A pooling alone is what `pool-before-transpose` is for.
        pools = not self.after and all(_pools(self.graph, op) for op in self.inner)
        return bool(self.inner) and bool(self.before or self.after) and not pools and _pays(self)


def _transposes(graph: GraphEdit, op: Op, order: tuple[int, ...]) -> bool:
    """Whether an operator is a TRANSPOSE of this order."""
    if op.type != "TRANSPOSE" or len(op.inputs) != 2 or len(op.outputs) != 1 or min(*op.inputs, *op.outputs) < 0:
        return False
    stored = graph.constant(op.inputs[1])
    return stored is not None and tuple(stored.reshape(-1).tolist()) == order


def _borders(other: Op, graph: GraphEdit, inside: bool, *, writes: bool) -> bool:
    """Whether a neighbour is a TRANSPOSE at the border of a region.

    Args:
        inside: whether the operator whose neighbour it is lies inside.
        writes: whether it writes what that operator reads.
    """
    return _transposes(graph, other, TO_NCHW if writes else TO_NHWC) and (writes or inside)


def _pays(region: _Region) -> bool:
    """Whether as many of TRANSPOSE go as come."""
    graph, inner = region.graph, {op.uid for op in region.inner}
    gone = len(region.after)
    for op in region.before:
        out = op.outputs[0]
        gone += out not in graph.outputs and all(r.uid in inner for r in graph.consumers(out))
    come = 0
    written = {t for op in region.inner for t in op.outputs}
    known = written | {op.outputs[0] for op in region.before}
    outside = {t for op in region.inner for t in _maps(graph, op) if t not in known}
    come += sum(not _is_pixel(graph, t) for t in outside)
    after = {op.uid for op in region.after}
    for t in written:
        if not _is_pixel(graph, t):
            others = [r for r in graph.consumers(t) if r.uid not in inner and r.uid not in after]
            come += any(not _pools(graph, r) for r in others) or (t in graph.outputs)
    return come <= gone and gone > 0


def _is_pixel(graph: GraphEdit, tensor: int) -> bool:
    """Whether a map in NCHW is in the same order as in NHWC, so that a RESHAPE does for a TRANSPOSE."""
    _, channels, height, width = graph.shape(tensor)
    return channels == 1 or height * width == 1


def _pools(graph: GraphEdit, op: Op) -> bool:
    """Whether an operator is what `pool-before-transpose` lets read the map in NHWC."""
    axes = graph.constant(op.inputs[1]) if op.type in ("MEAN", "SUM") and len(op.inputs) == 2 else None
    return axes is not None and sorted(a % RANK for a in axes.reshape(-1).tolist()) == list(HEIGHT_AND_WIDTH_IN_NCHW)


# What can be moved, and how


def _maps(graph: GraphEdit, op: Op) -> list[int]:
    """What an operator reads in NCHW."""
    if op.type in _ELEMENTWISE or op.type == "CONCATENATION":
        return [t for t in op.inputs if t >= 0 and not is_constant(graph, t)]
    return [op.inputs[1] if op.type == "SPLIT" else op.inputs[0]]


def _can_move(graph: GraphEdit, op: Op) -> bool:
    """Whether an operator of a regular form works alike on a map in another order."""
    axes = _AXES.get(op.type)
    if op.type not in _ELEMENTWISE and axes is None:
        return False
    if not op.inputs or not op.outputs or min(*op.inputs, *op.outputs) < 0:
        return False
    maps = _maps(graph, op)
    for t in (*maps, *op.outputs):
        if len(graph.shape(t)) != RANK or graph.dtype(t) not in _TYPES or graph.is_quantized(t):
            return False
        if any(d < 0 for d in graph.signature(t)[1:]):
            return False
    if op.type in _ELEMENTWISE or op.type == "CONCATENATION":
        moved = set(maps)
        constants = [t for t in op.inputs if t not in moved]
        plain = all(graph.constant(t) is not None and len(graph.shape(t)) <= RANK for t in constants)
        # A vector as its condition chooses among whole batches.
        plain = plain and (op.type != "SELECT" or op.inputs[0] in maps)
        return bool(maps) and plain and (axes is None or axes(graph, op) is not None)
    assert axes is not None
    return axes(graph, op) is not None


Renaming = Callable[[], None]
"""Names the axes of an operator otherwise."""


def _vectors(graph: GraphEdit, op: Op, slots: Sequence[int]) -> Renaming | None:
    """A row for each axis, in the order of the axes."""
    if len(op.inputs) <= max(slots):
        return None
    values = [graph.constant(op.inputs[slot]) for slot in slots]
    if any(v is None or v.shape[:1] != (RANK,) for v in values):
        return None

    def rename() -> None:
        for slot, value in zip(slots, values, strict=True):
            assert value is not None
            op.inputs[slot] = graph.add_constant(f"{graph.name(op.inputs[slot])}_nhwc", _own(value[list(TO_NHWC)]))

    return rename


def _paddings(graph: GraphEdit, op: Op) -> Renaming | None:
    return _vectors(graph, op, (1,))


def _slice(graph: GraphEdit, op: Op) -> Renaming | None:
    return _vectors(graph, op, (1, 2))


def _strided_slice(graph: GraphEdit, op: Op) -> Renaming | None:
    options = op.options
    if options is None or options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask:
        return None
    rename = _vectors(graph, op, (1, 2, 3))
    if rename is None:
        return None

    def with_masks() -> None:
        rename()
        for mask in ("beginMask", "endMask"):
            bits = int(getattr(options, mask))
            setattr(options, mask, sum(1 << place for place, axis in enumerate(TO_NHWC) if bits >> axis & 1))

    return with_masks


def _option(graph: GraphEdit, op: Op) -> Renaming | None:
    """The axis of CONCATENATION and GATHER."""
    options = op.options
    if options is None or getattr(options, "batchDims", None):
        return None
    if op.type == "GATHER" and (graph.constant(op.inputs[1]) is None or len(graph.shape(op.inputs[1])) != 1):
        return None

    def rename() -> None:
        options.axis = TO_NHWC.index(options.axis % RANK)

    return rename


def _listed(slot: int) -> Callable[[GraphEdit, Op], Renaming | None]:
    """Axes in a constant."""

    def find(graph: GraphEdit, op: Op) -> Renaming | None:
        import numpy as np

        values = graph.constant(op.inputs[slot]) if len(op.inputs) > slot else None
        if values is None or (op.type in _REDUCTIONS and not (op.options is not None and op.options.keepDims)):
            return None

        def rename() -> None:
            moved = [TO_NHWC.index(int(axis) % RANK) for axis in values.reshape(-1)]
            # The runtime ends a cluster at poolings over [1, 2], and at no other spelling.
            stored = np.array(sorted(moved), np.int32).reshape(values.shape)
            op.inputs[slot] = graph.add_constant(f"{graph.name(op.inputs[slot])}_nhwc", stored)

        return rename

    return find


_AXES: dict[str, Callable[[GraphEdit, Op], Renaming | None]] = {
    **dict.fromkeys(_PADDINGS, _paddings),
    **dict.fromkeys(_REDUCTIONS, _listed(1)),
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "CONCATENATION": _option,
    "GATHER": _option,
    "SPLIT": _listed(0),
}


class _Rewriting:
    """Moves one region."""

    def __init__(self, view: View, region: _Region) -> None:
        self.view, self.graph, self.region = view, view.graph, region
        # A value in NCHW -> the same in NHWC.
        self.moved = {op.outputs[0]: op.inputs[0] for op in region.before}
        self.backs = {op.inputs[0]: op.outputs[0] for op in reversed(region.after)}

    def run(self) -> None:
        graph, region = self.graph, self.region
        for op in region.inner:
            rename = _AXES[op.type](graph, op) if op.type in _AXES else None
            if rename is not None:
                rename()
            maps = set(_maps(graph, op))
            op.inputs = [self._input(op, slot, t, t in maps) for slot, t in enumerate(op.inputs)]
            op.outputs = [self._output(t) for t in op.outputs]
        for op in region.after:
            value = self.moved[op.inputs[0]]
            if op.outputs[0] != value:
                if op.outputs[0] in graph.outputs:
                    # Somebody else has the value under another name.
                    add_reshape(self.view, op, value, op.outputs[0])
                graph.rewire(op.outputs[0], value)
            graph.remove(op)
        for old in [t for t in self.moved if self._is_needed(t)]:
            self._back(old)
        for op in region.before:
            if not graph.consumers(op.outputs[0]) and op.outputs[0] not in graph.outputs:
                graph.remove(op)

    def _input(self, op: Op, slot: int, tensor: int, is_map: bool) -> int:
        graph = self.graph
        if is_map:
            if tensor not in self.moved:
                self.moved[tensor] = self._to_nhwc(op, tensor)
            return self.moved[tensor]
        values = graph.constant(tensor) if op.type in _ELEMENTWISE or op.type == "CONCATENATION" else None
        if values is None or values.size == 1:
            return tensor
        full = values.reshape((1,) * (RANK - values.ndim) + values.shape)
        return graph.add_constant(f"{graph.name(tensor)}_nhwc", _own(full.transpose(TO_NHWC)))

    def _to_nhwc(self, op: Op, tensor: int) -> int:
        graph = self.graph
        if not _is_pixel(graph, tensor):
            return add_transpose(self.view, op, tensor, None, TO_NHWC)
        shape = graph.shape(tensor)
        made = graph.add_like(tensor, "_nhwc", [shape[axis] for axis in TO_NHWC])
        add_reshape(self.view, op, tensor, made, after=False)
        return made

    def _output(self, tensor: int) -> int:
        """The value that takes the place of one, under the name that it has behind the TRANSPOSE back, if any."""
        graph = self.graph
        if tensor in self.backs:
            self.moved[tensor] = self.backs[tensor]
        else:
            shape = graph.shape(tensor)
            self.moved[tensor] = graph.add_like(tensor, "_nhwc", [shape[axis] for axis in TO_NHWC])
        return self.moved[tensor]

    def _is_needed(self, tensor: int) -> bool:
        """Whether somebody outside reads a value that nobody writes any more."""
        graph = self.graph
        written = graph.producer(tensor) is not None or tensor in graph.inputs
        return not written and (tensor in graph.outputs or bool(graph.consumers(tensor)))

    def _back(self, old: int) -> None:
        """Gives the readers outside a value in NCHW."""
        value = self.moved[old]
        writer = self.graph.producer(value)
        assert writer is not None
        if _is_pixel(self.graph, old):
            add_reshape(self.view, writer, value, old)
        else:
            add_transpose(self.view, writer, value, old, TO_NCHW, after=True)


def _own(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(values)


FIXERS: tuple[OperatorFixer, ...] = (ComputeInNhwc(),)
