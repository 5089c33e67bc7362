"""What a fix of a .tflite file sees: the graph that it may change, and the plan that was made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xnnlint.fixes.options import FixOptions
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan


@dataclass
class View:
    """What a fix sees: the graph, which it may change, and the plan that was made of it before this round.

    Tensor indices are the same in both; operators are found by `planned`, since inserted ones shift their indices.

    Attributes:
        options: what the user asked for.
    """

    graph: GraphEdit
    plan: Plan
    options: FixOptions

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
