"""A kind of change of a .tflite file, and what one change did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from xnnlint.fixes.tflite import object_api as schema
from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan


class Exactness(str, Enum):
    """What a change does to the outputs.

    `EXACT`: the same bits. `ROUNDING`: the same but for the order of floating-point operations. `DIFFERENT`: others.
    """

    EXACT = "exact"
    ROUNDING = "rounding"
    DIFFERENT = "different"


class CannotChange(Exception):
    """A fix does not fit a place after all; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was made.

    Attributes:
        fix: name of the `Fix`.
        uid: of the operator that it is about (see `edit.Op`).
        place: that operator's name, in the user's words.
        text: what is done, in one sentence without a full stop.
        removed, added: the operators before and after it, a line each.
        effect: for unsafe ones, what the model computes differently; else "".
    """

    fix: str
    applicability: Applicability
    exactness: Exactness
    uid: str
    place: str
    text: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    effect: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.fix, self.uid


@dataclass
class View:
    """What a fix sees: the graph, which it may change, and the plan that was made of it before this round.

    Tensor indices are the same in both; operators are found by `planned`, since inserted ones shift their indices.

    Attributes:
        settings: what the user asked for, for fixes that need to know: "batch", "prune".
    """

    graph: GraphEdit
    plan: Plan
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        operators = zip(self.graph.operators, self.plan.graph.operators, strict=True)
        self._planned = {op.uid: planned for op, planned in operators}

    def planned(self, op: Op) -> Operator | None:
        """The operator of the plan's graph; None for one that was inserted since."""
        return self._planned.get(op.uid)

    def op(self, index: int) -> Op | None:
        """The operator with this index in the plan, as in `Kernel.op` and `Hazard.op`; None where it is gone."""
        uid = next((uid for uid, planned in self._planned.items() if planned.index == index), None)
        return self.graph.find(uid) if uid is not None else None

    def place(self, op: Op) -> str:
        """What a person calls an operator."""
        planned = self.planned(op)
        return planned.name if planned is not None else self.graph.name(op.outputs[0])

    def of_type(self, *types: str) -> Iterator[Op]:
        """The operators of these types, also while others are inserted."""
        return (op for op in list(self.graph.operators) if op.type in types)


class Fix:
    """One kind of change.

    Attributes:
        name: in kebab case; it states the remedy, and `--select` takes it.
        exactness: of the outputs; `DIFFERENT` only where `applicability` is unsafe.
        summary: one line for the documentation.
        whole: whether it is made everywhere or nowhere, so that single places are not tried without it.
        any_size: whether it is right without knowing the sizes of what the operator reads and writes.
    """

    name: str
    applicability: Applicability = Applicability.SAFE
    exactness: Exactness = Exactness.EXACT
    summary: str
    effect: str = ""
    whole: bool = False
    any_size: bool = False

    def sites(self, view: View) -> Iterable[Op]:
        """The operators at which it could be made; looks only."""
        raise NotImplementedError

    def apply(self, view: View, op: Op) -> str:
        """Makes it at one of them, and says what is done, in one sentence without a full stop.

        Raises:
            CannotChange: it does not fit; then nothing was changed.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make a model right that computes wrong results or fails.

    Attributes:
        name: in kebab case, as of a `Fix`.
        uid, place: the operator that it is about.
        apply: makes it and says what is done, as `Fix.apply`.
    """

    name: str
    uid: str
    place: str
    apply: Callable[[View], str]
    exactness: Exactness = Exactness.EXACT


def make(fix: Fix, view: View, op: Op, before: dict[str, str] | None = None) -> Change:
    """Applies a fix at a place.

    Args:
        before: `lines` of the graph, which then are told and brought up to date; it takes longer than the fix in a
            large model.

    Raises:
        CannotChange: see `Fix.apply`.
    """
    place = view.place(op)
    text = fix.apply(view, op)
    removed, added = (), ()
    if before is not None:
        after = lines(view.graph)
        removed, added = difference(before, after)
        before.clear()
        before.update(after)
    return Change(fix.name, fix.applicability, fix.exactness, op.uid, place, text, removed, added, fix.effect)


def make_way(way: Way, view: View) -> Change:
    """The same for a way to rescue a model."""
    before = lines(view.graph)
    text = way.apply(view)
    removed, added = difference(before, lines(view.graph))
    return Change(way.name, Applicability.SAFE, way.exactness, way.uid, way.place, text, removed, added)


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
