"""Operators of a graph that is changed, and who writes and who reads a tensor, known at once whatever was changed.

Fixes rewire operators where they like (`op.inputs[0] = padded`) and ask for neighbours all the time. Going over all
operators for each answer would take time by the square of the model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

_PLACE = attrgetter("place")


class TensorList(list[int]):
    """What an operator reads, or writes; its links are told of every change."""

    __slots__ = ("_op",)

    def __init__(self, tensors: Iterable[int], op: Op) -> None:
        super().__init__(tensors)
        self._op = op


def _telling(name: str) -> Any:
    change = getattr(list, name)

    def told(self: TensorList, *args: Any) -> Any:
        self._op.tell()
        return change(self, *args)

    return told


for _name in ("__setitem__", "__delitem__", "__iadd__", "append", "clear", "extend", "insert", "pop", "remove"):
    setattr(TensorList, _name, _telling(_name))


class Op:
    """An operator.

    Attributes:
        type: BuiltinOperator by name, such as "CONV_2D".
        inputs, outputs: tensor indices; -1 for an input that is left out.
        uid: names it for the whole life of the edit, whatever is inserted or removed around it: "#7" for what was
            operator 7 of the file, "#7+RESHAPE" for a RESHAPE that was made for it.
        index: its place in the file as it was opened; None for one that was put in.
        raw: the OperatorT; `options` of it are named as in the generated module (`strideH`, `keepDims`).
        place: that of later operators is greater.
        links: those of the graph, as long as it is one of its operators.
    """

    __slots__ = ("_inputs", "_outputs", "index", "links", "place", "raw", "type", "uid")

    def __init__(self, raw: Any, type_: str, uid: str, index: int | None = None) -> None:
        self.raw, self.type, self.uid, self.index = raw, type_, uid, index
        self.place = 0.0
        self.links: Links | None = None
        self.inputs = [int(t) for t in raw.inputs] if raw.inputs is not None else []
        self.outputs = [int(t) for t in raw.outputs] if raw.outputs is not None else []

    @property
    def inputs(self) -> list[int]:
        return self._inputs

    @inputs.setter
    def inputs(self, tensors: Iterable[int]) -> None:
        self.tell()
        self._inputs = TensorList(tensors, self)

    @property
    def outputs(self) -> list[int]:
        return self._outputs

    @outputs.setter
    def outputs(self, tensors: Iterable[int]) -> None:
        self.tell()
        self._outputs = TensorList(tensors, self)

    def tell(self) -> None:
        """Tells the graph that this operator is about to read or write other tensors."""
        if self.links is not None:
            self.links.change(self)

    @property
    def options(self) -> Any:
        """The builtin options' object, or None."""
        return self.raw.builtinOptions

    def __repr__(self) -> str:
        return f"<{self.uid} {self.type} {self.inputs} -> {self.outputs}>"


class Links:
    """The operators of one graph and what links them.

    Attributes:
        operators: in execution order; changed by the methods of this class alone.
    """

    def __init__(self, operators: Iterable[Op]) -> None:
        self.operators = list(operators)
        self._named = {op.uid: op for op in self.operators}
        self._writers: dict[int, dict[str, Op]] = {}
        self._readers: dict[int, dict[str, Op]] = {}
        # Under which tensors an operator stands in the two, and those that were changed since.
        self._filed: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self._changed = dict(self._named)
        self._number()
        for op in self.operators:
            op.links = self

    def find(self, uid: str) -> Op | None:
        return self._named.get(uid)

    def writer(self, tensor: int) -> Op | None:
        """The operator that writes a tensor, the first one where a damaged file has several; or None."""
        self._settle()
        return min(self._writers.get(tensor, {}).values(), key=_PLACE, default=None)

    def readers(self, tensor: int) -> list[Op]:
        """The operators that read a tensor, each once, in execution order."""
        self._settle()
        return sorted(self._readers.get(tensor, {}).values(), key=_PLACE)

    def insert(self, op: Op, near: Op, *, after: bool) -> None:
        """Puts an operator in front of another one, or behind it."""
        at = self._at(near) + after
        before = self.operators[at - 1].place if at else near.place - 1
        behind = self.operators[at].place if at < len(self.operators) else near.place + 1
        op.place = (before + behind) / 2
        self.operators.insert(at, op)
        if not before < op.place < behind:  # No number is left between the two.
            self._number()
        op.links = self
        self._named[op.uid] = self._changed[op.uid] = op

    def remove(self, op: Op) -> None:
        del self.operators[self._at(op)]
        self._changed.pop(op.uid, None)
        self._unfile(op.uid)
        del self._named[op.uid]
        op.links = None

    def change(self, op: Op) -> None:
        """Takes note that an operator is about to read or write other tensors."""
        self._changed[op.uid] = op

    def _at(self, op: Op) -> int:
        if op.links is not self:
            raise ValueError(f"{op} is none of the graph's operators")
        return bisect_left(self.operators, op.place, key=_PLACE)

    def _number(self) -> None:
        for place, op in enumerate(self.operators):
            op.place = float(place)

    def _settle(self) -> None:
        for uid, op in self._changed.items():
            self._unfile(uid)
            self._filed[uid] = tuple(op.outputs), tuple(op.inputs)
            for tensor in op.outputs:
                self._writers.setdefault(tensor, {})[uid] = op
            for tensor in op.inputs:
                self._readers.setdefault(tensor, {})[uid] = op
        self._changed.clear()

    def _unfile(self, uid: str) -> None:
        written, read = self._filed.pop(uid, ((), ()))
        for tensor in written:
            self._writers[tensor].pop(uid, None)
        for tensor in read:
            self._readers[tensor].pop(uid, None)
