"""Forms in which the same values can be written: in another order of axes, or with one axis of size 1 more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from xnnlint.fixes.tflite.graph_parts import TO_NHWC, add_transpose
from xnnlint.fixes.tflite.operator_changes.map_pooling import HEIGHT_AND_WIDTH, HEIGHT_AND_WIDTH_IN_NCHW, add_reshape

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.fixes.tflite.graph_view import View

T = TypeVar("T")


class Form(Struct, frozen=True):
    """Another form of a value.

    Attributes:
        axes: for each axis of that form the one that it is now; None for one of size 1 that is not there now.
        pooled: the axes of that form over which a reduction is a pooling of the whole map.
    """

    axes: tuple[int | None, ...]
    pooled: tuple[tuple[int, ...], ...] = (HEIGHT_AND_WIDTH,)

    @property
    def rank(self) -> int:
        """Of the value as it is now."""
        return sum(axis is not None for axis in self.axes)

    @property
    def is_order(self) -> bool:
        """Whether its axes are those that there are now, in another order."""
        return None not in self.axes

    @property
    def added(self) -> tuple[int, ...]:
        """The axes that are not there now."""
        return tuple(place for place, axis in enumerate(self.axes) if axis is None)

    def place(self, axis: int) -> int:
        """Where an axis is in the form; a negative one counts from the end."""
        return self.axes.index(axis % self.rank)

    def arranged(self, items: Sequence[T], filler: T) -> tuple[T, ...]:
        """An item for each axis of the form, of one for each axis as it is now."""
        return tuple(filler if axis is None else items[axis] for axis in self.axes)

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return self.arranged(shape, 1)

    def is_copy(self, shape: Sequence[int]) -> bool:
        """Whether the elements of a value of this shape come in the same sequence in both forms."""
        long = [axis for axis in self.axes if axis is not None and shape[axis] != 1]
        return long == sorted(long)

    def enters(self, graph: GraphEdit, op: Op) -> bool:
        """Whether an operator writes a value as it is now from one in the form."""
        return self._turns(graph, op, op.outputs, op.inputs, tuple(map(self.axes.index, range(self.rank))))

    def leaves(self, graph: GraphEdit, op: Op) -> bool:
        """Whether an operator writes a value in the form from one as it is now."""
        return self._turns(graph, op, op.inputs, op.outputs, self.axes)

    def _turns(
        self, graph: GraphEdit, op: Op, now: Sequence[int], then: Sequence[int], order: tuple[int | None, ...]
    ) -> bool:
        if op.type != ("TRANSPOSE" if self.is_order else "RESHAPE") or not op.inputs or len(op.outputs) != 1:
            return False
        if min(*op.inputs, *op.outputs) < 0:
            return False
        if self.is_order:
            stored = graph.constant(op.inputs[1]) if len(op.inputs) == 2 else None
            return stored is not None and tuple(stored.reshape(-1).tolist()) == order
        shape, signature = graph.shape(now[0]), graph.signature(now[0])
        return (
            len(shape) == len(signature) == self.rank
            and self.shape(shape) == graph.shape(then[0])
            and self.shape(signature) == graph.signature(then[0])
        )

    # Operators that change the form

    def add_like(self, graph: GraphEdit, tensor: int) -> int:
        """A tensor for a value in the form, beside the one for it as it is now."""
        return graph.add_like(tensor, "_nhwc" if self.is_order else "_map", self.shape(graph.shape(tensor)))

    def bring(self, view: View, near: Op, tensor: int) -> int:
        """Writes a value in the form, in front of an operator; the tensor for it."""
        if self.is_order and not self.is_copy(view.graph.shape(tensor)):
            return add_transpose(view, near, tensor, None, self._order)
        made = self.add_like(view.graph, tensor)
        add_reshape(view, near, tensor, made, after=False)
        return made

    def take_back(self, view: View, writer: Op, value: int, tensor: int) -> None:
        """Writes a value as it is now to a tensor, behind the operator that gives it in the form."""
        if self.is_order and not self.is_copy(view.graph.shape(tensor)):
            back = [self.place(axis) for axis in range(self.rank)]
            add_transpose(view, writer, value, tensor, back, after=True)
        else:
            add_reshape(view, writer, value, tensor)

    @property
    def _order(self) -> list[int]:
        return [axis for axis in self.axes if axis is not None]


NHWC = Form(TO_NHWC)
"""Of a map in NCHW."""
_OF_A_ROW = (HEIGHT_AND_WIDTH, HEIGHT_AND_WIDTH_IN_NCHW)
ROWS = (Form((0, 1, None, 2), _OF_A_ROW), Form((0, None, 1, 2), _OF_A_ROW))
"""A sequence as a map of one row, or of one column: [N, C, L] as [N, C, 1, L], [N, L, C] as [N, 1, L, C]."""
