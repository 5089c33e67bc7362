"""Operators that hang together between those that change the form of a value, moved to the other side of these."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import Struct, field

from xnnlint.fixes.tflite.operator_changes.axis_names import (
    can_move,
    constant_in,
    pools,
    read_maps,
    reads_elements,
    rename,
)
from xnnlint.fixes.tflite.operator_changes.map_pooling import add_reshape
from xnnlint.fixes.tflite.operator_changes.value_forms import Form

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.fixes.tflite.graph_view import View

_PLACE = attrgetter("place")


def regions(view: View, form: Form) -> Iterator[Region]:
    """The regions of a graph that are worth to be moved, each once."""
    movable, seen = _Movable(view, form), set[str]()
    for op in view.graph.operators:
        if op.uid not in seen and movable(op):
            region = Region.around(op, view.graph, form, movable)
            seen.update(inner.uid for inner in region.inner)
            if region.is_worth_it:
                yield region


def region_at(view: View, form: Form, op: Op) -> Region | None:
    """The region that begins with an operator; None where there is none that is worth to be moved."""
    region = Region.around(op, view.graph, form, _Movable(view, form))
    return region if region.is_worth_it and region.operators[0] is op else None


class _Movable:
    """Whether an operator works alike on values in a form, found once for each while nothing is changed."""

    def __init__(self, view: View, form: Form) -> None:
        self._view, self._form = view, form
        self._known: dict[str, bool] = {}

    def __call__(self, op: Op) -> bool:
        if op.uid not in self._known:
            self._known[op.uid] = self._view.is_regular(op) and can_move(self._view.graph, op, self._form)
        return self._known[op.uid]


class Region(Struct):
    """Operators that hang together, each list in execution order.

    Attributes:
        form: that their values shall be in.
        inner: those that are moved.
        before: those that read a value in the form, and write it as it is now.
        after: those that do the opposite.
    """

    graph: GraphEdit
    form: Form
    inner: list[Op] = field(default_factory=list)
    before: list[Op] = field(default_factory=list)
    after: list[Op] = field(default_factory=list)

    @classmethod
    def around(cls, start: Op, graph: GraphEdit, form: Form, movable: _Movable) -> Region:
        """All that hangs together with an operator."""
        region = cls(graph, form)
        pending, seen = [start], {start.uid}
        while pending:
            op = pending.pop()
            inside, enters = movable(op), form.enters(graph, op)
            (region.inner if inside else region.before if enters else region.after).append(op)
            # From what leaves the region nothing is looked for, unless it is what there is to begin with.
            around = [graph.producer(t) for t in read_maps(graph, op)] if inside or (op is start and not enters) else []
            if inside or enters:
                around += [reader for t in op.outputs for reader in graph.consumers(t)]
            read = set(op.inputs)
            for other in around:
                if other is None or other.uid in seen:
                    continue
                if movable(other) or region._ends_at(other, inside, writes=not read.isdisjoint(other.outputs)):
                    seen.add(other.uid)
                    pending.append(other)
        for part in (region.inner, region.before, region.after):
            part.sort(key=_PLACE)
        return region

    @property
    def operators(self) -> list[Op]:
        return sorted((*self.inner, *self.before, *self.after), key=_PLACE)

    @property
    def types(self) -> str:
        """Of what is moved."""
        return ", ".join(sorted({op.type for op in self.inner}))

    @property
    def is_worth_it(self) -> bool:
        """Whether there are no more changes of the form around it when it is moved than now."""
        # A pooling alone is what `map_pooling` is for.
        only_pools = not self.after and all(pools(self.graph, op, self.form) for op in self.inner)
        return bool(self.inner) and bool(self.before or self.after) and not only_pools and self.saved >= 0

    def move(self, view: View) -> None:
        """Moves it."""
        _Rewriting(view, self).run()

    def _ends_at(self, other: Op, inside: bool, *, writes: bool) -> bool:
        """Whether a neighbour changes the form at the border.

        Args:
            inside: whether the operator whose neighbour it is lies inside.
            writes: whether it writes what that operator reads.
        """
        if writes:
            return self.form.enters(self.graph, other)
        return inside and self.form.leaves(self.graph, other)

    @property
    def saved(self) -> int:
        """How many more changes of the form go than come; negative where none goes."""
        graph, inner = self.graph, {op.uid for op in self.inner}
        gone = len(self.after)
        for op in self.before:
            out = op.outputs[0]
            gone += out not in graph.outputs and all(r.uid in inner for r in graph.consumers(out))
        written = {t for op in self.inner for t in op.outputs}
        known = written | {op.outputs[0] for op in self.before}
        outside = {t for op in self.inner for t in read_maps(graph, op) if t not in known}
        come = sum(self._costs(t) for t in outside)
        after = {op.uid for op in self.after}
        for t in written:
            if self._costs(t):
                others = [r for r in graph.consumers(t) if r.uid not in inner and r.uid not in after]
                come += any(not pools(graph, r, self.form) for r in others) or (t in graph.outputs)
        return gone - come if gone else -1

    def _costs(self, tensor: int) -> bool:
        """Whether to change the form of a value takes as much as what is saved; a RESHAPE is less than a TRANSPOSE."""
        return not (self.form.is_order and self.form.is_copy(self.graph.shape(tensor)))


class _Rewriting:
    """Moves one region."""

    def __init__(self, view: View, region: Region) -> None:
        self.view, self.graph, self.region, self.form = view, view.graph, region, region.form
        # A value as it was -> the same in the form.
        self.moved = {op.outputs[0]: op.inputs[0] for op in region.before}
        self.backs = {op.inputs[0]: op.outputs[0] for op in reversed(region.after)}

    def run(self) -> None:
        graph, region = self.graph, self.region
        for op in region.inner:
            maps, elements = set(read_maps(graph, op)), reads_elements(op)
            rename(graph, op, self.form)
            for slot, tensor in enumerate(op.inputs):
                if tensor in maps:
                    op.inputs[slot] = self._input(op, tensor)
                elif elements:
                    op.inputs[slot] = constant_in(graph, tensor, self.form)
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
            value = self.moved[old]
            writer = graph.producer(value)
            assert writer is not None
            self.form.take_back(self.view, writer, value, old)
        for op in region.before:
            graph.remove_if_unread(op)

    def _input(self, op: Op, tensor: int) -> int:
        if tensor not in self.moved:
            self.moved[tensor] = self.form.bring(self.view, op, tensor)
        return self.moved[tensor]

    def _output(self, tensor: int) -> int:
        """The value that takes the place of one, under the name that it has behind the region, if any."""
        new = self.backs[tensor] if tensor in self.backs else self.form.add_like(self.graph, tensor)
        self.moved[tensor] = new
        return new

    def _is_needed(self, tensor: int) -> bool:
        """Whether somebody outside reads a value that nobody writes any more."""
        graph = self.graph
        written = graph.producer(tensor) is not None or tensor in graph.inputs
        return not written and (tensor in graph.outputs or bool(graph.consumers(tensor)))
