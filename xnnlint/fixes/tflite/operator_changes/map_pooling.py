"""Poolings over the whole map: MEAN that keeps its dimensions, with a RESHAPE behind it, is right on every runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_parts import TO_NCHW, activation, is_float, is_same
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.windows import same_padding
from xnnlint.xnnpack.conditions.condition import Condition

HEIGHT_AND_WIDTH = (1, 2)
HEIGHT_AND_WIDTH_IN_NCHW = (2, 3)


class WholeMapPooling(OperatorFixer):
    """AVERAGE_POOL_2D with a window as large as the map ends no sparse cluster; MEAN does."""

    name = "mean-of-the-whole-map"
    stage = Stage.POOLINGS
    fulfils = frozenset(
        {Condition.NCHW_KERNEL, Condition.BRANCH_END, Condition.CLUSTER_END, Condition.MAP_BEFORE_FULLY_CONNECTED}
    )
    exactness = Exactness.ROUNDING
    summary = "AVERAGE_POOL_2D over the whole map -> MEAN"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("AVERAGE_POOL_2D"):
            shape = graph.shape(op.inputs[0])
            options = op.options
            if len(shape) != 4 or not is_float(graph, op.inputs[0], op.outputs[0]) or options is None:
                continue
            window = (options.filterHeight, options.filterWidth)
            padded = is_same(op) and any(
                same_padding(size, kernel, stride) != (0, 0)
                for size, kernel, stride in zip(shape[1:3], window, (options.strideH, options.strideW), strict=True)
            )
            if shape[1:3] == window and graph.shape(op.outputs[0])[1:3] == (1, 1) and not padded:
                yield op

    def apply(self, view: View, op: Op) -> str:
        if activation(op) != "NONE":
            raise CannotChange("its fused activation has no place in MEAN")
        op.inputs = [op.inputs[0], _axes(view)]
        view.graph.retype(op, "MEAN", options="ReducerOptions", keepDims=True)
        return "take the MEAN over height and width, which is the same"


class KeepDimensions(OperatorFixer):
    """MEAN and SUM over height and width keep their dimensions, and a RESHAPE gives their readers what they had."""

    name = "keep-dimensions"
    stage = Stage.POOLINGS
    fulfils = frozenset(
        {Condition.REDUCE_INPUT, Condition.POOLING_SHAPE, Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS}
    )
    summary = "MEAN without keep_dims -> keep_dims, and a RESHAPE behind it"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MEAN", "SUM"):
            if pools(view, op) and not op.options.keepDims:
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        batch, _, _, channels = graph.shape(op.inputs[0])
        readers = graph.consumers(op.outputs[0])
        kept = (batch, 1, 1, channels)
        if (
            len(readers) == 1
            and readers[0].type == "RESHAPE"
            and op.outputs[0] not in graph.outputs
            and graph.shape(readers[0].outputs[0]) == kept
        ):
            # Squeeze and excite: the RESHAPE only restores what was dropped.
            reshape = readers[0]
            op.outputs, op.options.keepDims = list(reshape.outputs), True
            graph.remove(reshape)
            return "keep its dimensions, and drop the RESHAPE that restores them"
        new, old = graph.displace(op, "_kept", kept)
        op.options.keepDims = True
        add_reshape(view, op, new, old)
        return "keep its dimensions, and RESHAPE behind it"


class ReshapeBehindPooling(OperatorFixer):
    """A pooling that keeps its dimensions reports a wrong shape, which a RESHAPE puts right."""

    name = "reshape-behind-pooling"
    stage = Stage.POOLINGS
    fulfils = frozenset({Condition.POOLING_SHAPE, Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS})
    summary = "MEAN with keep_dims whose readers look at its shape -> a RESHAPE between them"

    def sites(self, view: View) -> Iterable[Op]:
        graph = view.graph
        for op in view.of_type("MEAN", "SUM"):
            if pools(view, op) and op.options.keepDims:
                readers = graph.consumers(op.outputs[0])
                if _excites(view, op.outputs[0], readers):
                    continue
                if op.outputs[0] in graph.outputs or any(r.type != "RESHAPE" for r in readers):
                    yield op

    def apply(self, view: View, op: Op) -> str:
        new, old = view.graph.displace(op, "_kept")
        add_reshape(view, op, new, old)
        return "RESHAPE behind it, which gives its readers the right shape"


class PoolBeforeTranspose(OperatorFixer):
    """A pooling of the map as it is needs no TRANSPOSE in front, as exporters from NCHW write it."""

    name = "pool-before-transpose"
    stage = Stage.POOLINGS
    fulfils = frozenset({Condition.NCHW_KERNEL, Condition.BRANCH_END, Condition.CLUSTER_END, Condition.POOLING_AXES})
    summary = "MEAN over [2, 3] behind a TRANSPOSE to NCHW -> MEAN over [1, 2] of the map in front of it"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MEAN", "SUM"):
            if _transposed(view, op) is not None:
                yield op

    def apply(self, view: View, op: Op) -> str:
        graph, transpose = view.graph, _transposed(view, op)
        if transpose is None:
            raise CannotChange("its axes are not known")
        source = transpose.inputs[0]
        if op.options.keepDims:
            batch, _, _, channels = graph.shape(source)
            new, old = graph.displace(op, "_kept", (batch, 1, 1, channels))
            add_reshape(view, op, new, old)
        op.inputs = [source, _axes(view)]
        graph.remove_if_unread(transpose)
        return "pool the map in front of the TRANSPOSE"


class OrderAxes(OperatorFixer):
    """The runtime knows the poolings over [1, 2] and no other spelling of them."""

    name = "axes-in-order"
    stage = Stage.POOLINGS
    fulfils = frozenset({Condition.REDUCE_INPUT, Condition.POOLING_AXES, Condition.POOLING_SHAPE})
    summary = "MEAN over [2, 1] or [-3, -2] -> over [1, 2]"

    def sites(self, view: View) -> Iterable[Op]:
        for op in view.of_type("MEAN", "SUM"):
            axes = _given_axes(view, op)
            if axes is not None and axes != list(HEIGHT_AND_WIDTH) and _normal(axes) == list(HEIGHT_AND_WIDTH):
                yield op

    def apply(self, view: View, op: Op) -> str:
        op.inputs = [op.inputs[0], _axes(view)]
        return "name its axes in order"


def add_reshape(view: View, op: Op, source: int, target: int, *, after: bool = True) -> Op:
    """A RESHAPE behind an operator, or in front of it, to the shape of `target`; a dynamic batch stays one."""
    import numpy as np

    graph = view.graph
    signature = graph.signature(target)
    shape = graph.add_constant(f"{graph.name(target)}_shape", np.array(signature, np.int32))
    if sum(d < 0 for d in signature) > 1:
        raise CannotChange("more than its batch is dynamic")
    return graph.insert(
        "RESHAPE", [source, shape], [target], near=op, after=after, options="ReshapeOptions", newShape=list(signature)
    )


def pools(view: View, op: Op) -> bool:
    """Whether a reduction is over the height and width of an fp32 map."""
    graph = view.graph
    axes = _given_axes(view, op)
    return axes is not None and _normal(axes) == list(HEIGHT_AND_WIDTH) and is_float(graph, op.outputs[0])


def _excites(view: View, pooled: int, readers: Sequence[Op]) -> bool:
    """Whether a pooled value only goes through 1x1 convolutions into the map again, as in squeeze-and-excite.

    There it stays in the cluster, whose 1x1 convolutions do not look at its shape, and a RESHAPE would break it.
    """
    graph = view.graph
    if pooled in graph.outputs or not readers:
        return False
    if any(r.type != "CONV_2D" or graph.shape(r.inputs[1])[1:3] != (1, 1) for r in readers):
        return False
    pending, seen = [r.outputs[0] for r in readers], set[int]()
    while pending:
        value = pending.pop()
        for reader in graph.consumers(value):
            out = reader.outputs[0]
            shape = graph.shape(out)
            if len(shape) != 4:
                return False
            if shape[1:3] != (1, 1):
                # What is resized to a map, as in ASPP, leaves the cluster before.
                return reader.type in ("ADD", "MUL")
            if out not in seen:
                seen.add(out)
                pending.append(out)
    return False


def _given_axes(view: View, op: Op) -> list[int] | None:
    graph = view.graph
    if len(op.inputs) != 2 or op.options is None or not is_float(graph, op.inputs[0]):
        return None
    values = graph.constant(op.inputs[1])
    return values.reshape(-1).tolist() if values is not None and len(graph.shape(op.inputs[0])) == 4 else None


def _transposed(view: View, op: Op) -> Op | None:
    """The TRANSPOSE to NCHW in front of a pooling over [2, 3]; None where it is anything else."""
    graph, axes = view.graph, _given_axes(view, op)
    transpose = view.producer(op.inputs[0], "TRANSPOSE")
    if transpose is None or axes is None or _normal(axes) != list(HEIGHT_AND_WIDTH_IN_NCHW):
        return None
    order = graph.constant(transpose.inputs[1])
    moved = order is not None and order.reshape(-1).tolist() == list(TO_NCHW)
    return transpose if moved and len(graph.shape(transpose.inputs[0])) == 4 else None


def _normal(axes: Sequence[int]) -> list[int]:
    return sorted({axis % 4 for axis in axes})


def _axes(view: View) -> int:
    import numpy as np

    return view.graph.add_constant("reduction_axes", np.array(HEIGHT_AND_WIDTH, np.int32))


FIXERS: tuple[OperatorFixer, ...] = (
    WholeMapPooling(),
    PoolBeforeTranspose(),
    OrderAxes(),
    KeepDimensions(),
    ReshapeBehindPooling(),
)
