"""What a fix of a .tflite file sees: the graph that it may change, and the plan that was made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from xnnlint.fixes.request import FixRequest
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.plan import Plan


class _Form(Struct, frozen=True):
    """What an operator must have.

    Attributes:
        inputs: the ranks of those that it cannot do without; None for any.
        output: that of its first output.
        table: the table of its options, where fixes look at them.
        options: whether it must have them.
    """

    inputs: tuple[int | None, ...] = (None,)
    output: int | None = None
    table: str = ""
    options: bool = False


_BINARY = _Form((None, None))
_POOLING = _Form((4,), 4, "Pool2DOptions", True)
_REDUCTION = _Form((None, None), None, "ReducerOptions")
# Of other types one input and one output.
_FORMS = {
    "CONV_2D": _Form((4, 4), 4, "Conv2DOptions", True),
    "DEPTHWISE_CONV_2D": _Form((4, 4), 4, "DepthwiseConv2DOptions", True),
    "FULLY_CONNECTED": _Form((None, 2), None, "FullyConnectedOptions"),
    "AVERAGE_POOL_2D": _POOLING,
    "MAX_POOL_2D": _POOLING,
    "MEAN": _REDUCTION,
    "SUM": _REDUCTION,
    "PAD": _BINARY,
    "PADV2": _BINARY,
    "TRANSPOSE": _BINARY,
    "PRELU": _BINARY,
    "POW": _BINARY,
    "ADD": _Form((None, None), None, "AddOptions"),
    "SUB": _Form((None, None), None, "SubOptions"),
    "MUL": _Form((None, None), None, "MulOptions"),
    "DIV": _Form((None, None), None, "DivOptions"),
    "MAXIMUM": _BINARY,
    "MINIMUM": _BINARY,
    "SQUARED_DIFFERENCE": _BINARY,
    "GREATER": _BINARY,
    "GREATER_EQUAL": _BINARY,
    "CONCATENATION": _Form((None,), None, "ConcatenationOptions"),
    "GATHER": _Form((None, None), None, "GatherOptions"),
    "LEAKY_RELU": _Form((None,), None, "LeakyReluOptions"),
    "RESHAPE": _Form((None,), None, "ReshapeOptions"),
    "RESIZE_BILINEAR": _Form((4, None), 4, "ResizeBilinearOptions", True),
    "RESIZE_NEAREST_NEIGHBOR": _Form((4, None), 4, "ResizeNearestNeighborOptions", True),
    "SELECT": _Form((None, None, None)),
    "SELECT_V2": _Form((None, None, None)),
    "SLICE": _Form((None, None, None)),
    "SOFTMAX": _Form((None,), None, "SoftmaxOptions"),
    "SPLIT": _BINARY,
    "STRIDED_SLICE": _Form((None, None, None, None), None, "StridedSliceOptions", True),
}


# What options of windows have at least 1 of.
_SIZES = ("strideH", "strideW", "dilationHFactor", "dilationWFactor", "filterHeight", "filterWidth")


class View(Struct, dict=True):
    """What a fix sees: the graph, which it may change, and the plan that was made of it before this round.

    Tensor indices are the same in both; operators are found by `planned`, since inserted ones shift their indices.

    Attributes:
        options: what the user asked for.
    """

    graph: GraphEdit
    plan: Plan
    options: FixRequest

    def __post_init__(self) -> None:
        operators = zip(self.graph.operators, self.plan.graph.operators, strict=True)
        self._planned = {op.uid: planned for op, planned in operators}
        self._uids = {planned.index: uid for uid, planned in self._planned.items()}

    def planned(self, op: Op) -> Operator | None:
        """The operator of the plan's graph; None for one that was inserted since."""
        return self._planned.get(op.uid)

    def op(self, index: int | None) -> Op | None:
        """The operator with this index in the plan, as in `Kernel.op` and `Hazard.op`; None where it is gone."""
        uid = self._uids.get(index) if index is not None else None
        return self.graph.find(uid) if uid is not None else None

    def place(self, op: Op) -> str:
        """What a person calls an operator."""
        planned = self.planned(op)
        return planned.name if planned is not None else self.graph.name(op.outputs[0])

    def of_type(self, *types: str) -> Iterator[Op]:
        """The operators of these types, also while others are inserted; those of an odd form are left out."""
        return (op for op in list(self.graph.operators) if op.type in types and self.is_regular(op))

    def producer(self, tensor: int, *types: str) -> Op | None:
        """The operator that writes a tensor, where it is of one of these types, and of no odd form."""
        op = self.graph.producer(tensor)
        return op if op is not None and op.type in types and self.is_regular(op) else None

    def is_regular(self, op: Op) -> bool:
        """Whether an operator reads and writes as many tensors, of such ranks, as TFLite's kernels of its type demand.

        A file can claim anything: what this lets pass, fixes need not doubt.
        """
        form, graph = _FORMS.get(op.type, _Form()), self.graph
        if len(op.inputs) < len(form.inputs) or len(op.outputs) < 1 or any(t < 0 for t in op.outputs):
            return False
        if op.options is None and form.options:
            return False
        if op.options is not None and form.table and type(op.options).__name__ != f"{form.table}T":
            return False
        if any(getattr(op.options, size, 1) < 1 for size in _SIZES):
            return False
        given = [*zip(op.inputs, form.inputs, strict=False), (op.outputs[0], form.output)]
        return all(t >= 0 and (rank is None or len(graph.shape(t)) == rank) for t, rank in given)
