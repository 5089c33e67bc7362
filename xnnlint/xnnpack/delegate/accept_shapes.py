"""Acceptance of operators that move, pad, join or reduce values.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitReduceNode`, `VisitPadNode`,
`VisitReshapeNode`, `VisitResizeBilinearNode`, `VisitConcatenationNode`, `VisitSliceNode`, `VisitStridedSliceNode`,
`VisitTransposeNode`, `VisitSplitNode`, `VisitSoftmaxNode`, `VisitDepthToSpaceNode`, `VisitSpaceToDepthNode`,
`VisitExpandDimsNode`.
"""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.model.graph import Operator, Tensor
from xnnlint.xnnpack.delegate import accept_checks as check
from xnnlint.xnnpack.delegate.accept_checks import MAX_RANK, Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection

_FLOAT32 = ("FLOAT32",)


def _ends(scope: Scope, op: Operator) -> tuple[Tensor, Tensor]:
    return scope.graph.tensors[op.inputs[0]], scope.graph.output_tensor(op)


def reduce(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    x, y = _ends(scope, op)
    axes = scope.graph.tensors[op.inputs[1]]
    yield from check.float_or_q8(x)
    yield from check.dtype(axes, ("INT32",))
    if axes.rank > 1:
        yield Rejection(Objection.RANK, "a rank-1 axes tensor", f"rank {axes.rank}", axes.index)
    yield from check.constant_parameter(scope, axes, "axes", Objection.AXES_NOT_CONSTANT)
    values = [int(a) for a in check.constant(axes)]
    if not values or (values == [0] and x.rank == 0):
        yield Rejection(Objection.AXES, "at least one axis", "none", axes.index)
    if len(values) > MAX_RANK:
        yield Rejection(Objection.AXES, f"at most {MAX_RANK} axes", str(len(values)), axes.index)
    yield from check.float_or_q8(y)
    if op.type == "MEAN" and scope.profile["mean_needs_keep_dims"]:
        yield from _mean_keeping_dims(op, x, y, values)
    if op.type == "SUM" and scope.profile["reduce_as_global_pooling"] and not is_global_pooling(x, values):
        yield Rejection(
            Objection.AXES, "axes 1 and 2, or axis 2, of a rank-4 input", f"rank {x.rank}, axes {values}", axes.index
        )


def is_global_pooling(x: Tensor, axes: list[int]) -> bool:
    """Whether old delegates made a reduction a global pooling: only with axes that count from the front."""
    return x.rank == 4 and sorted(axes) in ([1, 2], [2])


def _mean_keeping_dims(op: Operator, x: Tensor, y: Tensor, axes: list[int]) -> Iterator[Rejection]:
    """Old delegates knew MEAN only as a global average pooling that keeps its dimensions."""
    if not op.attributes.get("keep_dims", False):
        yield Rejection(Objection.KEEP_DIMS, "keep_dims=True", "keep_dims=False")
    if sorted(axes) != [1, 2] or x.rank != 4 or y.rank != 4:
        yield Rejection(Objection.AXES, "a rank-4 input and axes 1 and 2", f"rank {x.rank}, axes {axes}")


def pad(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    x, y = _ends(scope, op)
    paddings = scope.graph.tensors[op.inputs[1]]
    yield from check.float_or_q8(x)
    yield from check.shape(x, 1, MAX_RANK)
    yield from check.dtype(paddings, ("INT32",))
    if paddings.shape != (x.rank, 2):
        yield Rejection(Objection.PADDINGS, f"a {x.rank}x2 paddings tensor", str(list(paddings.shape)), paddings.index)
    yield from check.constant_parameter(scope, paddings, "paddings", Objection.PADDINGS)
    yield from check.float_or_q8(y)
    yield from check.shape(y, 1, MAX_RANK)
    values = check.constant(paddings)
    if (values < 0).any():
        yield Rejection(Objection.PADDINGS, "paddings of 0 or above", str(int(values.min())), paddings.index)


def reshape(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, (1, 2), 1)
    x, y = _ends(scope, op)
    yield from check.float_or_q8(x)
    yield from check.shape(x, 0, MAX_RANK)
    yield from check.float_or_q8(y)
    yield from check.shape(y, 0, MAX_RANK)
    yield from _same_quantization(x, y)
    target = scope.graph.input_tensor(op, 1)
    if target is not None:
        yield from check.dtype(target, ("INT32",))
        yield from check.vector(target, "shape", leading_ones=True)
        yield from check.constant_parameter(scope, target, "shape", Objection.SHAPE_NOT_CONSTANT)
        new_shape = [int(d) for d in check.constant(target)]
    else:
        new_shape = [int(d) for d in op.attributes.get("new_shape", ())]
    flat = scope.profile["reshape_to_one_unknown_dimension"]
    if len(new_shape) == 1 and new_shape[0] in (-1, 0) and not flat:
        yield Rejection(
            Objection.NEW_SHAPE, "a target shape of more than one dimension, or a fixed one", str(new_shape)
        )


def _same_quantization(x: Tensor, y: Tensor) -> Iterator[Rejection]:
    if y.dtype not in ("INT8", "UINT8") or x.quantization is None or y.quantization is None:
        return
    if (x.quantization.scale, x.quantization.zero_point) != (y.quantization.scale, y.quantization.zero_point):
        yield Rejection(Objection.QUANTIZATION, "the same scale and zero point at input and output", "different ones")


def resize_bilinear(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    x, y = _ends(scope, op)
    size = scope.graph.tensors[op.inputs[1]]
    yield from check.float_or_q8(x, _FLOAT32)
    yield from check.shape(x, 4)
    yield from check.dtype(size, ("INT32",))
    yield from check.vector(size, "size")
    yield from check.constant_parameter(scope, size, "size", Objection.SIZE_NOT_CONSTANT)
    yield from check.float_or_q8(y)
    yield from check.shape(y, 4)
    values = check.constant(size)
    # The runtime's loop runs over the rank of the size tensor, which is 1: the width is never looked at.
    if len(values) != 2 or values[0] <= 0:
        yield Rejection(Objection.SIZE, "a height and a width above 0", str(values.tolist()), size.index)


def concatenation(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, (2, 5), 1)
    y = scope.graph.output_tensor(op)
    inputs = [scope.graph.tensors[t] for t in op.inputs]
    yield from check.float_or_q8(y)
    axis = check.number(op, "axis")
    for x in inputs:
        if axis >= x.rank:
            yield Rejection(Objection.AXIS, f"an axis below {x.rank}", str(axis), x.index)
    if y.dtype == "UINT8":
        for x in inputs:
            yield from _same_quantization(x, y)
    for x in inputs:
        yield from check.float_or_q8(x)


def _parameters(scope: Scope, op: Operator, names: dict[int, str], dtypes: tuple[str, ...]) -> Iterator[Rejection]:
    """Constant vectors at the given slots."""
    for slot, name in names.items():
        tensor = scope.graph.tensors[op.inputs[slot]]
        yield from check.vector(tensor, name)
        yield from check.constant_parameter(scope, tensor, name, Objection(f"{name}-not-constant"))
        yield from check.dtype(tensor, dtypes)


def slice_(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 3, 1)
    x, y = _ends(scope, op)
    yield from _parameters(scope, op, {1: "begin", 2: "size"}, ("INT32", "INT64"))
    begin, size = (scope.graph.tensors[t] for t in op.inputs[1:3])
    if begin.shape != size.shape:
        yield Rejection(Objection.SIZE, f"{begin.shape[0]} sizes", str(size.shape[0]), size.index)
    yield from check.float_or_q8(x)
    yield from check.float_or_q8(y)
    if (check.constant(size) <= 0).any():
        yield Rejection(Objection.SIZE, "sizes above 0", str(check.constant(size).tolist()), size.index)


def strided_slice(scope: Scope, op: Operator) -> Iterator[Rejection]:
    for mask in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if check.number(op, mask):
            yield Rejection(Objection(mask.replace("_", "-")), f"{mask} 0", str(check.number(op, mask)))
    yield from check.arity(op, 4, 1)
    x, y = _ends(scope, op)
    yield from _parameters(scope, op, {3: "strides"}, ("INT32",))
    strides = scope.graph.tensors[op.inputs[3]]
    if (check.constant(strides) != 1).any():
        yield Rejection(Objection.STRIDES, "strides of 1", str(check.constant(strides).tolist()), strides.index)
    yield from _parameters(scope, op, {1: "begin", 2: "end"}, ("INT32",))
    for tensor in (scope.graph.tensors[t] for t in op.inputs[1:4]):
        if tensor.shape != (x.rank,):
            yield Rejection(Objection.RANK, f"{x.rank} values", str(list(tensor.shape)), tensor.index)
    yield from check.float_or_q8(x)
    yield from check.float_or_q8(y)


def transpose(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    x, _ = _ends(scope, op)
    yield from check.float_or_q8(x)
    yield from check.shape(x, 1, MAX_RANK)
    permutation = scope.graph.tensors[op.inputs[1]]
    yield from check.constant_parameter(scope, permutation, "permutation", Objection.PERMUTATION_NOT_CONSTANT)


def split(scope: Scope, op: Operator) -> Iterator[Rejection]:
    splits = check.number(op, "num_splits")
    if splits != len(op.outputs):
        yield Rejection(Objection.OUTPUTS, f"{splits} outputs", str(len(op.outputs)))
    yield from check.arity(op, 2, (2, 4))
    axis, x = (scope.graph.tensors[t] for t in op.inputs)
    yield from check.dtype(axis, ("INT32",))
    yield from check.constant_parameter(scope, axis, "axis", Objection.AXIS_NOT_CONSTANT)
    yield from check.float_or_q8(x)
    for tensor in (scope.graph.tensors[t] for t in op.outputs):
        yield from check.float_or_q8(tensor)


def softmax(scope: Scope, op: Operator) -> Iterator[Rejection]:
    beta = float(op.attributes.get("beta", 0.0))
    if beta != 1.0:
        yield Rejection(Objection.BETA, "beta 1", f"{beta:g}")
    yield from check.arity(op, 1, 1)
    for tensor in _ends(scope, op):
        yield from check.float_type(tensor)


def block(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 1, 1)
    x, y = _ends(scope, op)
    to_depth = op.type == "SPACE_TO_DEPTH"
    yield from check.float_or_q8(x, _FLOAT32 if to_depth else check.FLOATS)
    yield from check.float_or_q8(y)
    block = check.number(op, "block_size")
    if block <= 1:
        yield Rejection(Objection.BLOCK_SIZE, "a block size above 1", str(block))
    if x.rank != 4:  # the runtime reads dimensions 1 and 2 without a look at the rank
        yield Rejection(Objection.RANK, "rank 4", f"rank {x.rank}", x.index)
    if to_depth and (x.shape[1] % block or x.shape[2] % block):
        size = f"{x.shape[1]}x{x.shape[2]}"
        yield Rejection(Objection.BLOCK_SIZE, f"height and width divisible by {block}", size, x.index)


def expand_dims(scope: Scope, op: Operator) -> Iterator[Rejection]:
    # `VisitExpandDimsNode` begins with an unconditional error.
    yield Rejection(Objection.OPERATOR_TYPE, "an operator that XNNPACK supports", "EXPAND_DIMS")
