"""What the created operators do at run time: the shapes they use, the order of their data, and where it breaks.

The layout pass only marks values. Operators are then created from the marks, and nothing checks that a producer and
its consumer agree: an operator that is created as NHWC reads whatever lies in memory. This module follows every value
through the operators as created and keeps two shapes (the right one, and the one the runtime uses) and the order of the
data in memory. Sources: google/XNNPACK src/subgraph/*.c (`create_*`, `reshape_*`), named at each function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.xnnpack.fault import Fault, RuntimeRefuses, Wrong
from xnnlint.xnnpack.ir import REDUCTIONS, Node, NodeType, Subgraph, Value
from xnnlint.xnnpack.profile import Profile
from xnnlint.xnnpack.value_range import value_range

NHWC_TO_NCHW = (0, 2, 3, 1)
# The runtime's inverse of the table above; it swaps height and width (src/subgraph/static-reduce.c).
NCHW_TO_NHWC_AS_SHIPPED = (0, 3, 2, 1)
# Operators that give one and the same number for (x, x), wherever x lies in memory.
SAME_EVERYWHERE = ("subtract", "squared_difference", "divide")


Reduction = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Node type, axes, and the shape (NHWC) that the runtime takes the input to have."""


class Order(Enum):
    """The order of a value's data in memory. `LOST`: not the right numbers, in whatever order."""

    NHWC = "nhwc"
    NCHW = "nchw"
    LOST = "lost"


class State(Struct, frozen=True):
    """What the runtime holds for a value: the shape it works with, and the order of the data.

    `written` is how many elements an operator writes where that is less than its output's shape says.
    """

    shape: tuple[int, ...]
    order: Order = Order.NHWC
    written: int | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape) if self.written is None else self.written


class Trouble(Struct, frozen=True):
    """A node at which right data turns wrong (`fatal` false) or at which the runtime gives up (`fatal` true)."""

    node: Node
    fault: Fault
    fatal: bool


class Execution(Struct):
    """States of all values after a run, and the troubles met, in execution order."""

    states: dict[int, State]
    troubles: list[Trouble]


def is_order_free(shape: tuple[int, ...]) -> bool:
    """Whether NHWC and NCHW are the same bytes: one pixel, or one channel."""
    return len(shape) != 4 or shape[1] * shape[2] == 1 or shape[3] == 1


def execute(subgraph: Subgraph, profile: Profile, assumed: Collection[int] = ()) -> Execution:
    """Follow all values of a subgraph, whose layouts are decided, through its operators.

    Args:
        assumed: operators taken as if they handled any layout.
    """
    states = {v.id: State(v.shape) for v in subgraph.values}
    run = Execution(states, [])
    runner = _Runner(subgraph, profile, run)
    for node in subgraph.nodes:
        try:
            if node.op in assumed or node.params.get("assumed"):
                runner.pass_on(node)
            else:
                runner.step(node)
        except RuntimeRefuses as refusal:
            run.troubles.append(Trouble(node, refusal.fault, fatal=True))
            break
    return run


class _Runner:
    def __init__(self, subgraph: Subgraph, profile: Profile, run: Execution) -> None:
        self.subgraph = subgraph
        self.profile = profile
        self.consumers = subgraph.consumer_counts()
        self.states = run.states
        self.troubles = run.troubles
        self.reductions: dict[int, list[Reduction]] = {}
        # Values of other ranks that hold a row for each pixel, which assumed operators made of a map in NCHW.
        self.pixel_rows: set[int] = set()

    # -- helpers

    def value(self, v: int) -> Value:
        return self.subgraph.values[v]

    def arrives(self, v: int, *, as_nchw: bool = False) -> bool:
        """Whether an operator that reads a value in the given order finds the right data."""
        state = self.states[v]
        if state.order is Order.LOST:
            return False
        if self.value(v).is_static or (is_order_free(self.value(v).shape) and v not in self.pixel_rows):
            return True
        return (state.order is Order.NCHW) == as_nchw

    def is_intact(self, v: int) -> bool:
        return self.states[v].order is not Order.LOST

    def has_right_shape(self, v: int) -> bool:
        return self.states[v].shape == self.value(v).shape

    def put(self, node: Node, shape: tuple[int, ...], order: Order, wrong: Wrong | None = None) -> None:
        """Set the state of a node's outputs; a node that loses intact data is a trouble."""
        for v in node.outputs:
            self.states[v] = State(shape if len(node.outputs) == 1 else self.value(v).shape, order)
        intact = all(self.is_intact(v) for v in node.inputs)
        if order is Order.LOST and intact and wrong is not None:
            self.troubles.append(Trouble(node, Fault(wrong), fatal=False))

    # -- one operator

    def step(self, node: Node) -> None:
        STEPS[node.type](self, node)

    def global_average_pooling(self, node: Node) -> None:
        """Its kernel is chosen by the mark of its input."""
        source = node.inputs[0]
        ok = self.arrives(source, as_nchw=self.value(source).nchw)
        self.put(node, self.value(node.outputs[0]).shape, _order(ok, False), Wrong.READS_WRONG_ORDER)

    def pass_on(self, node: Node) -> None:
        """An operator that is only assumed: it honours the layout marks."""
        target = self.value(node.outputs[0])
        ok = all(self.arrives(v, as_nchw=self.value(v).nchw) for v in node.inputs)
        ends = node.type in (NodeType.DEPTH_TO_SPACE_2D, *REDUCTIONS)
        leaves = not ends and any(self.value(v).nchw for v in node.inputs)
        if leaves and node.type in (NodeType.UNARY, NodeType.FULLY_CONNECTED) and target.rank != 4:
            source = self.value(node.inputs[0]).shape
            if math.prod(target.shape[:-1]) > (source[0] if len(source) == 4 else 1):
                self.pixel_rows.add(target.id)
        if node.type != NodeType.RESHAPE:
            # What it will be is not known, so a wrong shape may mislead it.
            ok = ok and all(self.has_right_shape(v) for v in node.inputs)
        self.put(node, target.shape, _order(ok, target.nchw or leaves), Wrong.READS_WRONG_ORDER)

    def convolution(self, node: Node) -> None:
        """`reshape_convolution_operator` in convolution-2d.c, `create_nchw_convolution`."""
        source, target = node.inputs[0], self.value(node.outputs[0])
        shape = self.states[source].shape
        if target.nchw and node.type == NodeType.CONVOLUTION_2D and node.params["kernel"] == (1, 1):
            self.pointwise_nchw(node)
            return
        if len(shape) < 3:
            raise RuntimeRefuses(Fault(Wrong.TOO_FEW_DIMENSIONS))
        channels = self.value(source).shape[-1]
        if not target.nchw and shape[-1] != channels and self.profile["convolution_checks_channels"]:
            raise RuntimeRefuses(Fault(Wrong.OTHER_CHANNELS, channels, shape[-1]))
        ok = self.arrives(source, as_nchw=self.value(source).nchw and target.nchw)
        if target.nchw and node.type == NodeType.DEPTHWISE_CONVOLUTION_2D and self.value(source).is_static:
            ok = is_order_free(self.value(source).shape)  # constants lie in NHWC, which nobody tells the kernel
        ok = ok and shape[:3] == self.value(source).shape[:3]
        size = target.shape[1:3] if shape[1:3] == self.value(source).shape[1:3] else _output_size(node, shape)
        self.put(node, (shape[0], *size, target.shape[3]), _order(ok, target.nchw), Wrong.READS_WRONG_ORDER)

    def need_nchw(self, source: int) -> None:
        """Of the NCHW kernels only that of the stem reads NHWC. All inputs in a cluster are marked NCHW but constants.

        Source: `create_nchw_convolution` in convolution-2d.c, `select_convolution2d_ukernel` in
        src/operators/convolution-nchw.c.
        """
        if not self.value(source).nchw:
            is_static = self.value(source).is_static
            raise RuntimeRefuses(Fault(Wrong.CONSTANT_INTO_NCHW_KERNEL if is_static else Wrong.NHWC_INTO_NCHW_KERNEL))

    def pointwise_nchw(self, node: Node) -> None:
        """A 1x1 convolution created as SpMM takes N, H, W from its input's shape and never looks at the channels."""
        source = node.inputs[0]
        self.need_nchw(source)
        shape = self.states[source].shape
        if len(shape) < 3:
            raise RuntimeRefuses(Fault(Wrong.TOO_FEW_DIMENSIONS_FOR_SPMM))
        channels = self.value(node.inputs[1]).shape[0]
        ok = self.arrives(source, as_nchw=True) and shape[:3] == self.value(source).shape[:3]
        self.put(node, (*shape[:3], channels), _order(ok, True), Wrong.READS_WRONG_ORDER)

    def fully_connected(self, node: Node) -> None:
        """`create_fully_connected_operator` and `reshape_fully_connected_operator` in fully-connected.c."""
        if self.value(node.outputs[0]).nchw:
            self.pointwise_nchw(node)
            return
        source, target = node.inputs[0], self.value(node.outputs[0])
        shape = self.states[source].shape
        weights = self.value(node.inputs[1]).shape
        channels = weights[-1]
        right = self.value(source).shape
        if node.params.get("reshape_2d"):
            # The operator flattens its input itself, so that only the number of elements matters.
            ok = self.arrives(source) and math.prod(shape) == math.prod(right)
            self.put(node, (math.prod(shape) // channels, weights[0]), _order(ok, False), Wrong.READS_WRONG_ORDER)
            return
        if shape[-1:] != (channels,) and shape != right:
            last = shape[-1] if shape else 1
            if self.profile["fully_connected_checks_channels"]:
                raise RuntimeRefuses(Fault(Wrong.OTHER_CHANNELS, channels, last))
            if self.profile["fully_connected_checks_elements"] and math.prod(shape) % channels:
                raise RuntimeRefuses(Fault(Wrong.ELEMENTS_NOT_DIVIDED, channels, math.prod(shape)))
            ok = self.arrives(source) and math.prod(shape) == math.prod(right)
            self.put(node, (*shape[:-1], weights[0]), _order(ok, False), Wrong.WRONG_SHAPE)
            written = math.prod(shape) // channels * weights[0]
            self.states[target.id] = replace(self.states[target.id], written=written)
            return
        ok = self.arrives(source) and math.prod(shape) == math.prod(right)
        self.put(node, (*shape[:-1], weights[0]), _order(ok, False), Wrong.READS_WRONG_ORDER)

    def unary(self, node: Node) -> None:
        """Elementwise on memory: the order stays, and as many elements are computed as the shape says."""
        source = node.inputs[0]
        state = self.states[source]
        if math.prod(state.shape) < math.prod(self.value(source).shape) and not self.changes_nothing(node):
            self.put(node, state.shape, Order.LOST, Wrong.WRONG_SHAPE)
        else:
            self.put(node, state.shape, state.order)

    def changes_nothing(self, node: Node) -> bool:
        """Whether an operator works in place and would leave all elements as they are, so that none can be missed.

        Source: `optimize_tensor_allocation_for_in_place_operations` in src/runtime.c.
        """
        values = [*node.inputs, *node.outputs]
        in_place = all(self.consumers[v] == 1 and not self.value(v).is_external for v in values)
        if not in_place or node.operator != "clamp":
            return False
        low, high = value_range(self.subgraph, node.inputs[0])
        return bool(node.params["min"] <= low and high <= node.params["max"])

    def binary(self, node: Node) -> None:
        """`reshape_binary_operator` in binary.c: operands are broadcast by shape, permuted where the output is NCHW."""
        target = self.value(node.outputs[0])
        if not all(self.has_right_shape(v) for v in node.inputs):
            self.with_wrong_shape(node)
            return
        shape = target.shape
        if node.inputs[0] == node.inputs[1] and node.operator in SAME_EVERYWHERE:
            self.put(node, shape, _order(True, target.nchw))
            return
        if target.nchw:
            ok = all(self.arrives(v, as_nchw=True) for v in node.inputs)
            self.put(node, shape, _order(ok, True), Wrong.READS_WRONG_ORDER)
            return
        if all(self.arrives(v) for v in node.inputs):
            self.put(node, shape, Order.NHWC)
            return
        # The operator pairs elements as they lie in memory; that is still right where both lie in NCHW alike.
        moving = [v for v in node.inputs if self.value(v).elements > 1]
        ok = all(self.arrives(v, as_nchw=True) and not self.value(v).is_static for v in moving)
        ok = ok and len({self.value(v).shape for v in moving}) == 1
        self.put(node, shape, Order.NCHW if ok else Order.LOST, Wrong.READS_WRONG_ORDER)

    def reads_by_input_mark(self, node: Node) -> None:
        """RESIZE_BILINEAR and DEPTH_TO_SPACE choose their kernel by the layout of their input."""
        source, target = self.value(node.inputs[0]), self.value(node.outputs[0])
        if not self.has_right_shape(source.id):
            self.with_wrong_shape(node)
            return
        ok = self.arrives(source.id, as_nchw=source.nchw)
        nchw = source.nchw and node.type == NodeType.RESIZE_BILINEAR
        self.put(node, target.shape, _order(ok, nchw), Wrong.READS_WRONG_ORDER)

    def reduce(self, node: Node) -> None:
        """`reshape_reduce_operator` in static-reduce.c, tables and loop as shipped."""
        source, target = self.value(node.inputs[0]), self.value(node.outputs[0])
        state = self.states[source.id]
        if (not source.nchw or len(state.shape) != 4) and not self.has_right_shape(source.id):
            self.with_wrong_shape(node)
            return
        if not source.nchw or len(state.shape) != 4:
            whole = set(node.params["axes"]) >= {1, 2, 3} and state.order is Order.NCHW
            ok = (self.arrives(source.id) or whole) and self.has_right_shape(source.id)
            self.put(node, target.shape, _order(ok, False), Wrong.READS_WRONG_ORDER)
            return
        absent = absent_axis(node.params["axes"], len(state.shape))
        if absent is not None:
            # XNNPACK never gets here; a search for changes does, which takes what it refuses as given.
            raise RuntimeRefuses(Fault(Wrong.NO_SUCH_AXIS, len(state.shape), absent))
        axes = _rewritten_axes(node.params["axes"])
        if len(set(axes)) < len(axes) and self.profile["repeated_axes_refused"]:
            raise RuntimeRefuses(Fault(Wrong.AXES_MERGED))
        shape, keeps = reduce_in_nchw(state.shape, node.params["axes"], node.params["keep_dims"], target.nchw)
        ok = self.arrives(source.id, as_nchw=True) and self.has_right_shape(source.id)
        if ok:
            self.reductions[source.id] = []
        if source.id in self.reductions:
            # What one reduction does wrong, the next may make right again: height for width, then width for height.
            steps = [*self.reductions[source.id], (node.type, node.params["axes"], state.shape)]
            self.reductions[target.id] = steps
            ok = keeps if ok else _reductions_agree(steps, target.nchw)
        self.put(node, shape, _order(ok, target.nchw and len(shape) == 4), Wrong.OTHER_AXES)

    def reshape(self, node: Node) -> None:
        """`resize_copy_output_tensor` in copy.c: a 0 in the target stands for whatever is left."""
        source = node.inputs[0]
        elements, right = math.prod(self.states[source].shape), math.prod(self.value(source).shape)
        target = list(node.params["new_shape"])
        known = math.prod(d for d in target if d)
        if target.count(0) == 1 and known:
            target[target.index(0)] = elements // known
        if math.prod(target) != elements:
            raise RuntimeRefuses(Fault(Wrong.RESHAPE_OF_OTHER_SIZE, tuple(target), elements))
        ok = self.arrives(source) and elements >= right
        shape = self.value(node.outputs[0]).shape if elements == right else tuple(target)
        wrong = Wrong.READS_WRONG_ORDER if elements == right else Wrong.RESHAPES_WRONG_SHAPE
        self.put(node, shape, _order(ok, False), wrong)

    def plain_nhwc(self, node: Node) -> None:
        """Every operator that knows no layout but NHWC."""
        if not all(self.has_right_shape(v) for v in node.inputs):
            self.with_wrong_shape(node)
            return
        ok = all(self.arrives(v) for v in node.inputs)
        self.put(node, self.value(node.outputs[0]).shape, _order(ok, False), Wrong.READS_WRONG_ORDER)

    def with_wrong_shape(self, node: Node) -> None:
        """An operator whose inputs have other shapes at run time than in the model."""
        from xnnlint.xnnpack.stand_ins import probe

        target = self.value(node.outputs[0])
        if node.type == NodeType.SLICE and not self.profile["slice_clamps"]:
            reach = zip(node.params["ends"], self.states[node.inputs[0]].shape, strict=True)
            if any(end > dim for end, dim in reach):
                raise RuntimeRefuses(Fault(Wrong.SLICE_TOO_LONG))
        right, used = ([s[v].shape for v in node.inputs] for s in (self.subgraph.values, self.states))
        try:
            result = probe(node, right, used)
        except (ValueError, IndexError):
            result = None  # The stand-in cannot work with these shapes; the runtime reads past what it has.
        shape, ok = result or (target.shape, False)
        ok = ok and all(self.arrives(v, as_nchw=target.nchw) for v in node.inputs)
        self.put(node, shape, _order(ok, target.nchw), Wrong.WRONG_SHAPE)


# What the operators of each node type do. Those of `plain_nhwc` know no layout but NHWC.
STEPS: dict[str, Callable[[_Runner, Node], None]] = {
    NodeType.CONVOLUTION_2D: _Runner.convolution,
    NodeType.DEPTHWISE_CONVOLUTION_2D: _Runner.convolution,
    NodeType.FULLY_CONNECTED: _Runner.fully_connected,
    NodeType.UNARY: _Runner.unary,
    NodeType.COPY: _Runner.unary,
    NodeType.BINARY: _Runner.binary,
    NodeType.RESIZE_BILINEAR: _Runner.reads_by_input_mark,
    NodeType.DEPTH_TO_SPACE_2D: _Runner.reads_by_input_mark,
    NodeType.GLOBAL_AVERAGE_POOLING_2D: _Runner.global_average_pooling,
    **dict.fromkeys((*REDUCTIONS, NodeType.REDUCE_MAX, NodeType.REDUCE_MIN), _Runner.reduce),
    NodeType.RESHAPE: _Runner.reshape,
    **dict.fromkeys(
        (
            *(NodeType.DECONVOLUTION_2D, NodeType.SPACE_TO_DEPTH_2D, NodeType.CONSTANT_PAD, NodeType.EXPAND_DIMS),
            *(NodeType.CONVERT, NodeType.CONCATENATE, NodeType.EVEN_SPLIT, NodeType.SOFTMAX, NodeType.SLICE),
            *(NodeType.TRANSPOSE, NodeType.AVERAGE_POOLING_2D, NodeType.MAX_POOLING_2D, NodeType.ARGMAX_POOLING_2D),
            *(NodeType.UNPOOLING_2D, NodeType.BATCH_MATRIX_MULTIPLY, NodeType.OTHER),
        ),
        _Runner.plain_nhwc,
    ),
}


def _output_size(node: Node, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width that a convolution gives an input of a given shape."""
    p = node.params
    top, right, bottom, left = p["padding"]
    sizes = []
    for i, padding in enumerate((top + bottom, left + right)):
        reach, stride = (p["kernel"][i] - 1) * p["dilation"][i] + 1, p["stride"][i]
        size = shape[1 + i]
        sizes.append(-(-size // stride) if p["same_padding"] else max(size + padding - reach, -stride) // stride + 1)
    return sizes[0], sizes[1]


def _order(ok: bool, nchw: bool) -> Order:
    if not ok:
        return Order.LOST
    return Order.NCHW if nchw else Order.NHWC


def _rewritten_axes(axes: tuple[int, ...]) -> list[int]:
    """`rewrite_reduction_axes_for_nchw` as shipped, its re-mapping loop included."""
    mapped = [NHWC_TO_NCHW[a] for a in axes]
    mask = [a in mapped for a in range(5)]
    counter = 0
    for i in range(len(mapped)):
        while mask[counter]:
            mapped[counter] = i
            counter += 1
            mask[i] = False
    return mapped


def _reduced_shape(dims: tuple[int, ...], axes: list[int], keep_dims: bool, output_nchw: bool) -> Iterator[int]:
    for i, dim in enumerate(dims):
        mapped = NCHW_TO_NHWC_AS_SHIPPED[i]
        position = NHWC_TO_NCHW[mapped] if output_nchw else i
        compared = [NHWC_TO_NCHW[a] for a in axes] if output_nchw and keep_dims else axes
        if position not in compared:
            yield dim
        elif keep_dims:
            yield 1


def absent_axis(axes: Iterable[int], rank: int) -> int | None:
    """The first normalised axis that a value of a rank does not have."""
    return next((axis for axis in axes if not 0 <= axis < rank), None)


def reduce_in_nchw(
    shape: tuple[int, ...], axes: tuple[int, ...], keep_dims: bool, output_nchw: bool
) -> tuple[tuple[int, ...], bool]:
    """What a reduction does with an input marked NCHW.

    Args:
        shape: the input's shape, NHWC.
        axes: the axes of the model, normalised.

    Returns:
        The shape that the runtime gives the output, and whether the numbers are right.
    """
    dims = tuple(shape[i] for i in NCHW_TO_NHWC_AS_SHIPPED)
    result = tuple(_reduced_shape(dims, _rewritten_axes(axes), keep_dims, output_nchw))
    return result, _reductions_agree([(NodeType.SUM, axes, shape)], output_nchw)


def _reductions_agree(steps: list[Reduction], output_nchw: bool) -> bool:
    """Whether reductions one behind the other, of NCHW memory and over the rewritten axes, give the right numbers.

    Decided on a small array with the same equalities between dimensions, so that the cost does not grow with the map.
    """
    import numpy as np

    _, _, shape = steps[0]
    sizes = {d: (1 if d == 1 else n + 2) for n, d in enumerate(sorted(set(shape)))}
    small = tuple(sizes[d] for d in shape)
    right = np.arange(math.prod(small), dtype=np.float64).reshape(small) ** 2
    memory = right.transpose(0, 3, 1, 2)
    for kind, axes, used in steps:
        rewritten = _rewritten_axes(axes)
        dims = [sizes.get(used[i], 0) for i in NCHW_TO_NHWC_AS_SHIPPED]
        if len(set(rewritten)) != len(rewritten) or math.prod(dims) != memory.size:
            return False
        if kind in (NodeType.MEAN_SQUARED, NodeType.SUM_SQUARED):
            right, memory = right**2, memory**2
        reduce = np.sum if kind in (NodeType.SUM, NodeType.SUM_SQUARED) else np.mean
        right = reduce(right, axis=axes, keepdims=True)
        memory = reduce(memory.reshape(dims), axis=tuple(rewritten))
    wanted = (right.transpose(0, 3, 1, 2) if output_nchw else right).reshape(-1)
    got = memory.reshape(-1)
    return got.shape == wanted.shape and bool(np.allclose(got, wanted))
