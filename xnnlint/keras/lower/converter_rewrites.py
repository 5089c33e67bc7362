"""The rewrites of TensorFlow Lite's converter that change which operators a float model has.

Sources: google-ai-edge/LiteRT tflite/converter/transforms/optimize_patterns.td and optimize_pass.cc (patterns are named
after those there), and the canonicalization of tflite/converter/ir; what TensorFlow 2.21 makes of them was checked
against files that it converted. A pattern's result stands where its last operator was.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xnnlint.keras.lower.layout_moves import AGNOSTIC, make_orders_alike, move_down, move_up
from xnnlint.keras.lower.program import Constant, Node, Program, Value, broadcast, elements
from xnnlint.keras.lower.rewriter import Rewriter, Rule

_BINARY = ("ADD", "SUB", "MUL", "DIV")
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")
_FUSING = (*_BINARY, *_CONVOLUTIONS, *_POOLS, "FULLY_CONNECTED")
# ReorderElementwiseAndMoveOperations.
_VALUE_OPS = (
    "CEIL", "EXP", "FLOOR", "NEG", "RELU", "RELU_N1_TO_1", "RELU6", "ROUND", "TANH", "SQRT", "SQUARE", "LOGISTIC",
)  # fmt: skip
_MOVES = ("DEPTH_TO_SPACE", "EXPAND_DIMS", "SQUEEZE", "RESHAPE", "TRANSPOSE")
# PushTransposeThroughEwisePass.
_COMMUTING = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB")


def rewrite(program: Program) -> None:
    """Applies the rewrites until nothing changes; the program must be in order."""
    rewriter = Rewriter(program)
    rewriter.repeat(_SHAPES)
    rewriter.merge_equal()
    rewriter.repeat({"BATCH_TO_SPACE_ND": [_dilated]})
    for move in (move_up, move_down):
        rewriter.repeat({type_: [move] for type_ in AGNOSTIC}, backwards=move is move_up)
        program.nodes.sort(key=lambda node: node.place)
        rewriter.repeat({"TRANSPOSE": [_cancelled]})
    make_orders_alike(rewriter)
    # AddOptimizationPasses of tf_tfl_passes.cc is there twice, since what moves may let a transposition through.
    for _ in range(2):
        rewriter.repeat({type_: [_two_transposes_before, _transpose_before] for type_ in _COMMUTING})
        program.nodes.sort(key=lambda node: node.place)
        rewriter.repeat(_FIRST)
        rewriter.repeat({**_FIRST, **{t: _FIRST.get(t, []) + more for t, more in _SECOND.items()}})
    rewriter.merge_equal()
    program.nodes = sorted((node for node in program.nodes if node in rewriter.alive), key=lambda node: node.place)


# -- constants


def _make(constant: Constant, shape: tuple[int, ...]) -> Value:
    return Value(shape, "FLOAT32", constant)


def _equals(constant: Constant | None, value: float) -> bool:
    """FloatValueEquals: every element is this number in single precision."""
    if constant is None or not constant.known:
        return False
    array = constant.array
    return array.size > 0 and array.dtype == np.float32 and bool((array == np.float32(value)).all())


def _is_scalar(constant: Constant | None, value: float) -> bool:
    return _equals(constant, value) and constant is not None and constant.array.shape == ()


def _fits_channels(value: Value, channels: int) -> bool:
    """CanFuseConvOrDepthwiseConvShapes: a scalar, or one number for each output channel along the last axis."""
    shape = value.shape or ()
    return all(n == 1 for n in shape[:-1]) and (not shape or shape[-1] in (1, channels))


def _flat(constant: Constant) -> Constant:
    return constant.derive("flat", lambda a: a.reshape(-1))


def _combined(bias: Constant, type_: str, other: Constant) -> Constant:
    """A bias, and a number or vector that is added, subtracted, multiplied or divided."""
    operations: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide,
    }  # fmt: skip
    return bias.derive(type_, lambda a: operations[type_](a, other.array.reshape(-1)), [other])


# -- transpositions


def _transpose_before(rewriter: Rewriter, node: Node) -> bool:
    """CommuteTransposeWithEwiseOps: transpose(x) with a constant is the transpose of x with that, transposed back."""
    moves = [rewriter.producer(node, slot, "TRANSPOSE") for slot in (0, 1)]
    move = moves[0] or moves[1]
    other = node.inputs[1] if moves[0] is not None else node.inputs[0]
    if move is None or other is None or other.constant is None or rewriter.uses(move.output) != 1:
        return False
    if node.type == "MAXIMUM" and _equals(other.constant, 0.0):  # A RELU by then.
        return False
    order, shape = move.constant(1), move.output.shape
    if order is None or shape is None or shape != node.output.shape or other.rank not in (0, len(shape)):
        return False
    if elements(other.shape or ()) != 1:
        back = tuple(np.argsort(order.array).tolist())
        turned = other.constant.derive(("transposed", back), lambda a: np.ascontiguousarray(a.transpose(back)))
        other = Value(tuple((other.shape or ())[d] for d in back), other.dtype, turned, name=other.name)
    return _transpose_last(rewriter, node, move, [move.inputs[0], other])


def _two_transposes_before(rewriter: Rewriter, node: Node) -> bool:
    """CommuteBothInputsTransposedWithEwiseOps: of two tensors that are transposed alike, the result is."""
    moves = [rewriter.producer(node, slot, "TRANSPOSE") for slot in (0, 1)]
    left, right = moves
    if left is None or right is None or left is right:
        return False
    orders = [move.constant(1) for move in (left, right)]
    if any(order is None for order in orders):
        return False
    first, second = (order.array.tolist() for order in orders if order is not None)
    alone = next((move for move in (left, right) if rewriter.uses(move.output) == 1), None)
    if first != second or alone is None or node.output.shape is None:
        return False
    return _transpose_last(rewriter, node, alone, [left.inputs[0], right.inputs[0]])


def _transpose_last(rewriter: Rewriter, node: Node, move: Node, inputs: list[Value | None]) -> bool:
    order = move.constant(1)
    assert order is not None and node.output.shape is not None
    shape = [node.output.shape[d] for d in np.argsort(order.array).tolist()]
    _swap(rewriter, node, move, inputs)
    move.output.shape = tuple(shape)
    return True


def _transpose_into_product(rewriter: Rewriter, node: Node) -> bool:
    """FuseTransposeIntoBatchMatMulLHS, FuseTransposeIntoBatchMatMulRHSAdjY: of the last two axes."""
    for slot, side in ((0, "adj_x"), (1, "adj_y")):
        move = rewriter.producer(node, slot, "TRANSPOSE")
        order = move.constant(1) if move is not None else None
        if move is None or order is None or node.attributes.get(side) or (slot and rewriter.uses(move.output) != 1):
            continue
        axes = order.array.tolist()
        if axes == [*range(len(axes) - 2), len(axes) - 1, len(axes) - 2]:
            inputs = [move.inputs[0] if i == slot else v for i, v in enumerate(node.inputs)]
            return rewriter.change(node, node.type, inputs, {**node.attributes, side: True})
    return False


def _transpose_after_product(rewriter: Rewriter, node: Node) -> bool:
    """FuseTransposeAfterBatchMatmul: the transpose of x @ y.T is y @ x.T."""
    product, order = rewriter.producer(node, 0, "BATCH_MATMUL"), node.constant(1)
    if product is None or order is None or product.attributes.get("adj_x") or not product.attributes.get("adj_y"):
        return False
    axes = order.array.tolist()
    turned = axes == [*range(len(axes) - 2), len(axes) - 1, len(axes) - 2]
    return turned and rewriter.become(node, product, product.inputs[::-1])


def _two_transposes(rewriter: Rewriter, node: Node) -> bool:
    """FoldDoubleTranspose."""
    before, order = rewriter.producer(node, 0, "TRANSPOSE"), node.constant(1)
    first = before.constant(1) if before is not None else None
    if before is None or order is None or first is None or rewriter.uses(before.output) != 1:
        return False
    return rewriter.change(node, "TRANSPOSE", [before.inputs[0], _int32(first.array[order.array])])


def _flattened_before_reshape(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpFlattenConstBeforeReshape: a constant over the axes that the last one of a FULLY_CONNECTED became."""
    move, other, constant = rewriter.producer(node, 0, "RESHAPE"), node.inputs[1], node.constant(1)
    dense = rewriter.producer(move, 0, "FULLY_CONNECTED") if move is not None else None
    if move is None or dense is None or constant is None or other is None or rewriter.uses(move.output) != 1:
        return False
    source, after, last = move.inputs[0], move.output.shape or (), other.shape or ()
    short = last[next((i for i, n in enumerate(last) if n != 1), len(last)) :]
    if source is None or not source.is_static or not source.shape or move.constant(1) is None or not short:
        return False
    if max(len(source.shape), len(after), len(last)) > 4 or after[len(after) - len(short) :] != short:
        return False
    if source.shape[-1] != elements(last):
        return False
    return _swap(rewriter, node, move, [source, Value((source.shape[-1],), other.dtype, _flat(constant))])


def _reshape_after_dense(rewriter: Rewriter, node: Node) -> bool:
    """MoveReshapeAfterFullyConnected: of a RESHAPE before a FULLY_CONNECTED and one behind it, both stand before it."""
    dense = rewriter.producer(node, 0, "FULLY_CONNECTED")
    if dense is None or rewriter.uses(dense.output) != 1 or rewriter.producer(dense, 0, "RESHAPE") is None:
        return False
    x, made, shape = dense.inputs[0], dense.output, node.output.shape
    if x is None or not (x.is_static and made.is_static and node.output.is_static) or not x.shape or not shape:
        return False
    if len(shape) < 2 or not made.shape or shape[-1] != made.shape[-1]:
        return False
    inputs, attributes, name = list(dense.inputs), {**dense.attributes, "keep_num_dims": True}, dense.name
    before = (*shape[:-1], x.shape[-1])
    dense.step, dense.part = node.step, node.part
    rewriter.change(node, dense.type, [dense.output, *inputs[1:]], attributes)
    rewriter.change(dense, "RESHAPE", [x, _integers(before)])
    dense.output.shape = before
    dense.name, node.name = node.name, name
    return True


# -- dilated convolutions


def _dilated(rewriter: Rewriter, node: Node) -> bool:
    """ConvertTFDilatedConvOp: with a fixed batch a convolution is dilated instead of put into the batch and back.

    Only where nothing else reads what is put into the batch; a sequence becomes a row and back in between.
    """
    squeeze = rewriter.producer(node, 0, "SQUEEZE")
    conv = rewriter.producer(squeeze or node, 0, *_CONVOLUTIONS)
    expand = rewriter.producer(conv, 0, "EXPAND_DIMS") if conv is not None and squeeze is not None else None
    spread = rewriter.producer(expand or conv, 0, "SPACE_TO_BATCH_ND") if conv is not None else None
    if conv is None or spread is None or (squeeze is None) != (expand is None):
        return False
    if any(made is not None and rewriter.uses(made.output) != 1 for made in (spread, expand, conv, squeeze)):
        return False
    x, out = spread.inputs[0], node.output.shape
    block, around, crops = spread.constant(1), spread.constant(2), node.constant(2)
    if x is None or not x.is_static or not x.shape or not out or block is None or around is None or crops is None:
        return False
    factors = block.array.tolist()
    same = int(around.array.sum()) > int(crops.array.sum())
    height, width = factors if len(factors) == 2 else (1, factors[0])
    dilation = {"dilation_h_factor": height, "dilation_w_factor": width, "padding": "SAME" if same else "VALID"}
    rewriter.replace(spread.output, x)
    conv.attributes = {**conv.attributes, **dilation}
    if squeeze is not None and expand is not None:
        expand.output.shape, squeeze.output.shape = (x.shape[0], 1, *x.shape[1:]), out
        conv.output.shape = (out[0], 1, *out[1:])
        return rewriter.replace(node.output, squeeze.output)
    conv.output.shape = out
    return rewriter.replace(node.output, conv.output)


# -- into the operator before


def _fuse_with_convolution(rewriter: Rewriter, node: Node) -> bool:
    """FuseBinaryOpToPrecedingAffine, FuseMulOrDivWithConv2dOrDepthwiseConv2d."""
    conv = rewriter.producer(node, 0, *_CONVOLUTIONS)
    value, other = node.inputs[1], node.constant(1)
    if conv is None or other is None or value is None or conv.activation != "NONE" or rewriter.uses(conv.output) != 1:
        return False
    weights, filter_, bias = conv.inputs[1], conv.constant(1), conv.constant(2)
    if bias is None or weights is None or not weights.shape:
        return False
    axis = 3 if conv.type == "DEPTHWISE_CONV_2D" else 0
    channels = int(weights.shape[axis] or 0)
    if not _fits_channels(value, channels):
        return False
    inputs = list(conv.inputs)
    if node.type in ("MUL", "DIV"):
        if filter_ is None:
            return False
        scaled = filter_.scaled(other, axis, divide=node.type == "DIV")
        inputs[1] = Value(weights.shape, "FLOAT32", scaled, name=weights.name)
    inputs[2] = _make(_combined(bias, node.type, other), (channels,))
    return rewriter.become(node, conv, inputs, node.activation)


def _fuse_with_transpose_conv(rewriter: Rewriter, node: Node) -> bool:
    """The same for TRANSPOSE_CONV, whose bias is its fourth input, and absent at first.

    It has no pattern for an activation behind it, which is fused if it was fused into what is added before.
    """
    conv = rewriter.producer(node, 0, "TRANSPOSE_CONV")
    readers = rewriter.readers(node.output)
    if len(readers) == 1 and readers[0].type in _ACTIVATIONS and rewriter.uses(node.output) == 1:
        return False
    value, other = node.inputs[1], node.constant(1)
    if conv is None or other is None or value is None or conv.activation != "NONE" or rewriter.uses(conv.output) != 1:
        return False
    weights, filter_, bias = conv.inputs[1], conv.constant(1), conv.constant(3)
    if weights is None or filter_ is None or not weights.shape:
        return False
    channels = int(weights.shape[0] or 0)
    if not _fits_channels(value, channels):
        return False
    inputs = [*conv.inputs[:3]]
    if node.type in ("MUL", "DIV"):
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 0, node.type == "DIV"), name=weights.name)
    if bias is None and node.type in ("ADD", "SUB"):
        zeros = Constant(lambda: np.zeros(channels, np.float32), ("zeros", channels))
        inputs.append(_make(_combined(zeros, node.type, other), (channels,)))
    elif bias is not None:
        inputs.append(_make(_combined(bias, node.type, other), (channels,)))
    return rewriter.become(node, conv, inputs, node.activation)


def _fuse_with_fully_connected(rewriter: Rewriter, node: Node) -> bool:
    """FuseFullyConnectedAndAdd, FuseFullyConnectedAndMul."""
    dense = rewriter.producer(node, 0, "FULLY_CONNECTED")
    value, other = node.inputs[1], node.constant(1)
    if dense is None or other is None or value is None or dense.activation != "NONE" or node.type not in ("ADD", "MUL"):
        return False
    weights, filter_, bias = dense.inputs[1], dense.constant(1), dense.constant(2)
    if rewriter.uses(dense.output) != 1 or weights is None or filter_ is None or not weights.shape:
        return False
    units = int(weights.shape[0] or 0)
    has_bias = dense.inputs[2] is not None
    if not _fits_channels(value, units) or (has_bias and bias is None) or dense.output.shape != node.output.shape:
        return False
    inputs = list(dense.inputs)
    if node.type == "MUL":
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 0), name=weights.name)
    if bias is not None:
        inputs[2] = _make(_combined(bias, node.type, other), (units,))
    elif node.type == "ADD":
        zeros = Constant(lambda: np.zeros(units, np.float32), ("zeros", units))
        inputs[2] = _make(_combined(zeros, "ADD", other), (units,))
    return rewriter.become(node, dense, inputs, node.activation)


def _fuse_activation(rewriter: Rewriter, node: Node) -> bool:
    """FuseActFnIntoConvOpPat, FuseActFnIntoPoolOpPat, FusedBinaryActivationFuncOpPat, FuseFullyConnectedAndReluX."""
    source = rewriter.producer(node, 0, *_FUSING)
    if source is None or source.activation != "NONE":
        return False
    # An activation behind a FULLY_CONNECTED is fused even if others read that too: it is computed twice then.
    if source.type != "FULLY_CONNECTED" and rewriter.uses(source.output) != 1:
        return False
    return rewriter.become(node, source, list(source.inputs), node.type)


# -- elementwise


def _hard_swish(rewriter: Rewriter, node: Node) -> bool:
    """MatchHardSwishPattern1 to 6: x * relu6(x + 3) / 6 in any order that they know."""
    if node.activation != "NONE":
        return False
    for gated, scaled in ((0, 1), (1, 0)):
        sixth = node.constant(scaled)
        product = rewriter.producer(node, gated, "MUL")
        if sixth is not None and product is not None and gated == 0:
            # (x * relu6(x + 3)) * 1/6
            x, other = product.inputs
            if _is_scalar(sixth, 0.166666666) and product.activation == "NONE" and _is_relu6_of(rewriter, other, x):
                return rewriter.change(node, "HARD_SWISH", [x])
        elif product is not None and product.activation == "NONE":
            # x * (relu6(x + 3) * 1/6)
            x, (inner, _) = node.inputs[scaled], product.inputs
            if _equals(product.constant(1), 0.166666672) and _is_relu6_of(rewriter, inner, x):
                return rewriter.change(node, "HARD_SWISH", [x])
    return False


def _is_relu6_of(rewriter: Rewriter, value: Value | None, x: Value | None) -> bool:
    node = value.producer if value is not None else None
    return (
        node is not None
        and node.type == "ADD"
        and node.activation == "RELU6"
        and node.inputs[0] is x
        and _equals(node.constant(1), 3.0)
    )


def _division_to_product(rewriter: Rewriter, node: Node) -> bool:
    """RealDivWithF32ConstDivisor."""
    divisor = node.constant(1)
    if divisor is None or node.inputs[1] is None:
        return False
    inverse = divisor.derive("inverse", lambda a: (np.float32(1) / a).astype(np.float32))
    other = Value(node.inputs[1].shape, "FLOAT32", inverse)
    return rewriter.change(node, "MUL", [node.inputs[0], other], node.attributes)


def _neutral(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeMul1ToIdentity, and TensorFlow's folding of x + 0, x - 0 and x / 1."""
    if node.type == "MUL" and node.constant(0) is not None:
        rewriter.change(node, "MUL", node.inputs[::-1], node.attributes)
    x = node.inputs[0]
    nothing = 0.0 if node.type in ("ADD", "SUB") else 1.0
    same = x is not None and x.constant is None and x.shape == node.output.shape and node.activation == "NONE"
    return same and _equals(node.constant(1), nothing) and rewriter.replace(node.output, x)  # type: ignore[arg-type]


def _two_additions(rewriter: Rewriter, node: Node) -> bool:
    """ReorderAddToAllowConstFold."""
    first = rewriter.producer(node, 0, "ADD")
    if first is None or first.activation != "NONE" or rewriter.uses(first.output) != 1:
        return False
    a, b = first.constant(1), node.constant(1)
    if a is None or b is None or first.inputs[1] is None or node.inputs[1] is None:
        return False
    total = a.derive("ADD", lambda v: v + b.array, [b])
    shape = broadcast(first.inputs[1].shape or (), node.inputs[1].shape or ())
    return rewriter.change(node, "ADD", [first.inputs[0], Value(shape, "FLOAT32", total)], node.attributes)


def _maximum_to_relu(rewriter: Rewriter, node: Node) -> bool:
    """MatchReluPattern, MatchRelu1Pattern2, MatchLeakyRelu."""
    if _equals(node.constant(1), 0.0):
        readers = rewriter.readers(node.output)
        if rewriter.uses(node.output) == len(readers) == 1 and readers[0].type == "MINIMUM":
            last = readers[0]
            if last.inputs[0] is node.output and _equals(last.constant(1), 6.0):
                return rewriter.change(last, "RELU6", [node.inputs[0]])
        return rewriter.change(node, "RELU", [node.inputs[0]])
    low = rewriter.producer(node, 0, "MINIMUM")
    if low is not None and _equals(node.constant(1), -1.0) and _equals(low.constant(1), 1.0):
        return rewriter.change(node, "RELU_N1_TO_1", [low.inputs[0]])
    for slot in (0, 1):
        scaled = rewriter.producer(node, slot, "MUL")
        alpha = scaled.constant(1) if scaled is not None else None
        if scaled is None or alpha is None or scaled.inputs[0] is not node.inputs[1 - slot] or slot == 1:
            continue
        number = alpha.scalar
        if number is not None and abs(number) < 1 and scaled.activation == "NONE" and rewriter.uses(scaled.output) == 1:
            return rewriter.change(node, "LEAKY_RELU", [scaled.inputs[0]], {"alpha": number})
    return False


def _minimum_to_relu(rewriter: Rewriter, node: Node) -> bool:
    """MinimumOfReluAnd6ToRelu6, MatchRelu1Pattern1."""
    relu = rewriter.producer(node, 0, "RELU")
    if relu is not None and _equals(node.constant(1), 6.0):
        return rewriter.change(node, "RELU6", list(relu.inputs))
    top = rewriter.producer(node, 0, "MAXIMUM")
    if top is not None and _equals(node.constant(1), 1.0) and _equals(top.constant(1), -1.0):
        return rewriter.change(node, "RELU_N1_TO_1", [top.inputs[0]])
    return False


def _relu_of_minimum(rewriter: Rewriter, node: Node) -> bool:
    """MinimumOfReluAnd6ToRelu62."""
    low = rewriter.producer(node, 0, "MINIMUM")
    return low is not None and _equals(low.constant(1), 6.0) and rewriter.change(node, "RELU6", [low.inputs[0]])


def _relu_of_squares(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeReluSquaredDifference."""
    squares = rewriter.producer(node, 0, "SQUARED_DIFFERENCE")
    return squares is not None and rewriter.change(node, squares.type, list(squares.inputs), dict(squares.attributes))


# -- numbers that are shapes


def _known_sizes(rewriter: Rewriter, node: Node) -> bool:
    """The part of a tensor's shape that is known (TensorFlow's shape inference folds it)."""
    whole = rewriter.producer(node, 0, "SHAPE")
    source = whole.inputs[0] if whole is not None else None
    begin, end, stride = (node.constant(slot) for slot in (1, 2, 3))
    if source is None or source.shape is None or begin is None or end is None or stride is None:
        return False
    masks = {name: int(node.attributes.get(name, 0)) & 1 for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    first, last, step = (int(c.array[0]) for c in (begin, end, stride))
    part = source.shape[None if masks["begin_mask"] else first : None if masks["end_mask"] else last : step]
    if masks["shrink_axis_mask"]:
        part = source.shape[first : first + 1]
    if not part or None in part:
        return False
    sizes = np.array(part[0] if masks["shrink_axis_mask"] else part, np.int32)
    return rewriter.replace(node.output, _int32(sizes))


_INTEGER_FUNCTIONS: dict[str, Callable[[Node, list[np.ndarray]], np.ndarray]] = {
    "REDUCE_PROD": lambda node, values: np.asarray(np.prod(values[0], dtype=np.int32)),
    "PACK": lambda node, values: np.stack(values),
    "CONCATENATION": lambda node, values: np.concatenate(values),
    "MUL": lambda node, values: values[0] * values[1],
    "ADD": lambda node, values: values[0] + values[1],
    "SUB": lambda node, values: values[0] - values[1],
    "SELECT_V2": lambda node, values: np.where(*values),
}


def _known_integers(rewriter: Rewriter, node: Node) -> bool:
    """Whole numbers computed from constants."""
    constants = [v.constant if v is not None else None for v in node.inputs]
    if node.type == "PACK" and len(constants) == 1 and constants[0] is None and node.output.rank == 1:
        # Of one number it is a list of it.
        return rewriter.change(node, "RESHAPE", [node.inputs[0], _int32(np.array([1]))])
    if node.output.dtype != "INT32" or any(c is None for c in constants):
        return False
    values = [c.array for c in constants if c is not None]
    return rewriter.replace(node.output, _int32(_INTEGER_FUNCTIONS[node.type](node, values)))


def _int32(values: np.ndarray) -> Value:
    array = np.asarray(values, np.int32)
    return Value(array.shape, "INT32", Constant(lambda: array, ("INT32", array.shape, array.tobytes())))


def _own_shape(rewriter: Rewriter, node: Node) -> bool:
    """A PACK that puts a tensor's shape together again is that shape (`PackOp::fold` of TensorFlow)."""
    wholes = [_size_of(value, axis) for axis, value in enumerate(node.inputs)]
    sources = {whole.inputs[0]: whole for whole in wholes if whole is not None}
    if len(sources) != 1:
        return False
    ((x, whole),) = sources.items()
    if x is None or x.shape is None or len(x.shape) != len(node.inputs):
        return False
    for axis, value in enumerate(node.inputs):
        known = value.constant.array if value is not None and value.constant is not None else None
        if wholes[axis] is None and (known is None or known.tolist() != x.shape[axis]):
            return False
    return rewriter.replace(node.output, whole.output)


def _size_of(value: Value | None, axis: int) -> Node | None:
    """The SHAPE of which a value is the number for this axis."""
    part = value.producer if value is not None else None
    if part is None or part.type != "STRIDED_SLICE" or part.attributes.get("shrink_axis_mask") != 1:
        return None
    begin, whole = part.constant(1), part.inputs[0].producer if part.inputs[0] is not None else None
    if begin is None or begin.array.tolist() != [axis] or whole is None or whole.type != "SHAPE":
        return None
    return whole


def _reshape_to_own_shape(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE of a tensor to its own shape."""
    whole = rewriter.producer(node, 1, "SHAPE")
    x = node.inputs[0]
    return whole is not None and x is not None and whole.inputs[0] is x and rewriter.replace(node.output, x)


def _same_again(rewriter: Rewriter, node: Node) -> bool:
    """Functions that change nothing the second time (TensorFlow's trait TF_Idempotent)."""
    before = rewriter.producer(node, 0, node.type)
    return before is not None and rewriter.replace(node.output, before.output)


def _straight(rewriter: Rewriter, node: Node) -> bool:
    """A TRANSPOSE that leaves every axis where it is."""
    order, x = node.constant(1), node.inputs[0]
    straight = order is not None and order.array.tolist() == list(range(order.array.size))
    return straight and x is not None and rewriter.replace(node.output, x)


def _cancelled(rewriter: Rewriter, node: Node) -> bool:
    """A TRANSPOSE that another one takes back, whoever else reads that (`TransposeOp::fold` of TensorFlow)."""
    before = rewriter.producer(node, 0, "TRANSPOSE")
    order, first = node.constant(1), before.constant(1) if before is not None else None
    if before is None or order is None or first is None or before.inputs[0] is None:
        return False
    both = first.array[order.array].tolist()
    return both == list(range(len(both))) and rewriter.replace(node.output, before.inputs[0])


def _square_of_difference(rewriter: Rewriter, node: Node) -> bool:
    """SquareOfSub of TensorFlow's canonicalize.td; what becomes two operators only later is none."""
    less = rewriter.producer(node, 0, "SUB")
    apart = less is not None and less.activation == "NONE" and less.step is not node.step
    return less is not None and apart and rewriter.change(node, "SQUARED_DIFFERENCE", list(less.inputs))


def _divided_by_root(rewriter: Rewriter, node: Node) -> bool:
    """RealDivWithSqrtDivisor of TensorFlow's canonicalize.td: x / sqrt(y) is x * rsqrt(y)."""
    root = rewriter.producer(node, 1, "SQRT")
    if root is None or rewriter.uses(root.output) != 1:
        return False
    rewriter.change(root, "RSQRT", list(root.inputs))
    root.step, root.part = node.step, node.part
    return rewriter.change(node, "MUL", list(node.inputs), node.attributes)


_OPPOSITES = {
    "EQUAL": "NOT_EQUAL", "NOT_EQUAL": "EQUAL", "GREATER": "LESS_EQUAL", "LESS_EQUAL": "GREATER",
    "GREATER_EQUAL": "LESS", "LESS": "GREATER_EQUAL",
}  # fmt: skip


def _opposite(rewriter: Rewriter, node: Node) -> bool:
    """LogicalNotOfEqual and the like of TensorFlow's canonicalize.td."""
    test = rewriter.producer(node, 0, *_OPPOSITES)
    return test is not None and rewriter.change(node, _OPPOSITES[test.type], list(test.inputs))


def _known_number(rewriter: Rewriter, node: Node) -> bool:
    """A CAST of a size that is known."""
    x = node.inputs[0]
    if x is None or x.constant is None or (x.dtype, node.output.dtype) != ("INT32", "FLOAT32"):
        return False
    array = x.constant.array.astype(np.float32)
    constant = Constant(lambda: array, ("FLOAT32", array.shape, array.tobytes()))
    return rewriter.replace(node.output, Value(array.shape, "FLOAT32", constant))


def _slice_without_masks(rewriter: Rewriter, node: Node) -> bool:
    """OptimizeStridedSlice: with explicit bounds and steps of 1 it is a SLICE."""
    begin, end, step = (node.constant(slot) for slot in (1, 2, 3))
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if begin is None or end is None or step is None or any(node.attributes.get(name) for name in masks):
        return False
    size = end.array - begin.array
    if (step.array != 1).any() or (begin.array < 0).any() or (size < 0).any():
        return False
    return rewriter.change(node, "SLICE", [node.inputs[0], node.inputs[1], _int32(size)])


# -- around reshapes


def _swap(rewriter: Rewriter, node: Node, move: Node, inputs: list[Value | None]) -> bool:
    """value(move(x)) -> move(value(x)): each takes the other's part, and both stand where the last one was."""
    type_, attributes, name = node.type, node.attributes, node.name
    moving, settings, of = move.type, move.attributes, move.name
    first, second = move.output, node.output
    rest = list(move.inputs[1:])
    source = inputs[0]
    # In this order, so that all that either reads always has a reader.
    rewriter.change(node, moving, [first, *rest, *inputs], settings)
    rewriter.change(move, type_, inputs, attributes)
    rewriter.change(node, moving, [first, *rest], settings)
    move.step, move.part = node.step, node.part
    node.name, move.name = of, name
    first.shape, first.dtype = (source.shape if source is not None else None), second.dtype
    return True


def _move_value_before(rewriter: Rewriter, node: Node) -> bool:
    """ReorderElementwiseAndMoveOperations."""
    move = rewriter.producer(node, 0, *_MOVES)
    if move is None or rewriter.uses(move.output) != 1:
        return False
    return _swap(rewriter, node, move, [move.inputs[0]])


def _move_binary_before(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpConstBeforeReshape."""
    move = rewriter.producer(node, 0, "RESHAPE")
    other, constant = node.inputs[1], node.constant(1)
    if move is None or constant is None or other is None or move.constant(1) is None or rewriter.uses(move.output) != 1:
        return False
    source, last = move.inputs[0], other.shape or ()
    shapes = [source.shape if source is not None else None, move.output.shape]
    for shape in shapes:
        if shape is None or len(shape) > 4 or len(last) > len(shape) or tuple(shape[len(shape) - len(last) :]) != last:
            return False
    return _swap(rewriter, node, move, [source, other])


def _two_reshapes_before(rewriter: Rewriter, node: Node) -> bool:
    """MoveBinaryOpBeforeReshape: of two tensors that are reshaped alike, the result is."""
    moves = [rewriter.producer(node, slot, "RESHAPE") for slot in (0, 1)]
    if any(m is None or m.constant(1) is None for m in moves):
        return False
    left, right = (m for m in moves if m is not None)
    x, y = left.inputs[0], right.inputs[0]
    alone = (
        rewriter.uses(left.output)
        == (2 if left is right else 1)
        == (2 if left is right else rewriter.uses(right.output))
    )
    if not alone or x is None or y is None or x.shape is None or x.shape != y.shape:
        return False
    if left.output.shape != right.output.shape:
        return False
    return _swap(rewriter, node, left, [x, y])


def _needless_reshape(rewriter: Rewriter, node: Node) -> bool:
    """RemoveRedundantReshapeUsedAsLhsTo, ...RhsTo: a RESHAPE that only adds axes of size 1, which are implied."""
    for slot in (0, 1):
        move, other = rewriter.producer(node, slot, "RESHAPE"), node.inputs[1 - slot]
        x = move.inputs[0] if move is not None else None
        if move is None or x is None or other is None or not (x.is_static and other.is_static):
            continue
        before, after, against = x.shape or (), move.output.shape or (), other.shape or ()
        shorter = after[next((i for i, n in enumerate(after) if n != 1), len(after)) :]
        alone = rewriter.uses(move.output) == 1 or all(r.type in _BINARY for r in rewriter.readers(move.output))
        fits = len(before) <= len(after) <= len(against) <= 4 and shorter and before[-len(shorter) :] == shorter
        if move.constant(1) is not None and alone and fits and None not in after:
            inputs = [x if i == slot else v for i, v in enumerate(node.inputs)]
            return rewriter.change(node, node.type, inputs, node.attributes)
    return False


def _reshape_for_nothing(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE that changes nothing (`ReshapeOp::fold`)."""
    x = node.inputs[0]
    return x is not None and x.is_static and x.shape == node.output.shape and rewriter.replace(node.output, x)


def _two_reshapes(rewriter: Rewriter, node: Node) -> bool:
    """A RESHAPE of a RESHAPE. A canonicalization, and so not among the patterns that turn EXPAND_DIMS into RESHAPE."""
    before = rewriter.producer(node, 0, "RESHAPE")
    return before is not None and rewriter.change(node, "RESHAPE", [before.inputs[0], *node.inputs[1:]])


def _keep_reduced(rewriter: Rewriter, node: Node) -> bool:
    """FoldReshapeTo...: a reduction whose axes a RESHAPE puts back keeps them."""
    kinds = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    reduce, target = rewriter.producer(node, 0, *kinds), node.constant(1)
    if reduce is None or target is None or reduce.attributes.get("keep_dims") or rewriter.uses(reduce.output) != 1:
        return False
    axes, x = reduce.constant(1), reduce.inputs[0]
    if axes is None or x is None or x.shape is None:
        return False
    gone = {int(a) for a in axes.array.reshape(-1)}
    kept = [1 if d in gone else n for d, n in enumerate(x.shape)]
    if target.array.reshape(-1).tolist() != kept:
        return False
    rewriter.change(node, reduce.type, list(reduce.inputs), {**reduce.attributes, "keep_dims": True})
    node.name = reduce.name
    return True


def _static_expansion(rewriter: Rewriter, node: Node) -> bool:
    """ConvertExpandDimsToReshape."""
    shape = node.output.shape
    if shape is None or None in shape:
        return False
    return rewriter.change(node, "RESHAPE", [node.inputs[0], _integers(shape)])


def _pad_for_nothing(rewriter: Rewriter, node: Node) -> bool:
    """A PAD by nothing."""
    x = node.inputs[0]
    return x is not None and x.is_static and x.shape == node.output.shape and rewriter.replace(node.output, x)


def _squeeze_to_reshape(rewriter: Rewriter, node: Node) -> bool:
    """ConvertSqueezeToReshape, where one dimension at most is dynamic."""
    shape = node.output.shape
    if shape is None or shape.count(None) > 1:
        return False
    return rewriter.change(node, "RESHAPE", [node.inputs[0], _integers(shape)])


def _trivial_transpose(rewriter: Rewriter, node: Node) -> bool:
    """ConvertTrivialTransposeOpToReshapeOp: only axes of size 1 change their places."""
    x, order = node.inputs[0], node.constant(1)
    if x is None or not x.is_static or order is None or x.shape is None or node.output.shape is None:
        return False
    large = [d for d in order.array.tolist() if x.shape[d] != 1]
    return large == sorted(large) and rewriter.change(node, "RESHAPE", [x, _integers(node.output.shape)])


def _integers(shape: tuple[int | None, ...]) -> Value:
    return _int32(np.array([-1 if n is None else n for n in shape]))


def _reshape_before_dense(rewriter: Rewriter, node: Node) -> bool:
    """RemoveReshapeBeforeFullyConnected: FULLY_CONNECTED flattens its input anyway."""
    move = rewriter.producer(node, 0, "RESHAPE")
    if move is None or node.attributes.get("keep_num_dims") or len(node.output.shape or ()) != 2:
        return False
    x = move.inputs[0]
    if x is None or not (x.is_static and move.output.is_static and node.output.is_static) or not x.shape:
        return False
    same = move.output.shape is not None and x.shape[-1] == move.output.shape[-1]
    return same and rewriter.change(node, node.type, [x, *node.inputs[1:]], node.attributes)


def _pad_to_same(rewriter: Rewriter, node: Node) -> bool:
    """FuseSamePaddingConv2D, FuseSamePaddingDepthwiseConv: explicit padding that is what SAME would do."""
    pad = rewriter.producer(node, 0, "PAD")
    if pad is None or node.attributes.get("padding") != "VALID" or pad.constant(1) is None:
        return False
    x, weights, paddings = pad.inputs[0], node.inputs[1], pad.constant(1)
    if x is None or weights is None or paddings is None or x.shape is None or len(x.shape) != 4 or not weights.shape:
        return False
    amounts = paddings.array.tolist()
    if amounts[0] != [0, 0] or amounts[3] != [0, 0] or len({n for p in amounts for n in p}) == 1:
        return False
    for d, axis in ((1, "h"), (2, "w")):
        size, kernel = x.shape[d], weights.shape[d]
        before, after = amounts[d]
        if size is None or kernel is None or not 0 <= after - before <= 1:
            return False
        stride, dilation = int(node.attributes[f"stride_{axis}"]), int(node.attributes[f"dilation_{axis}_factor"])
        needed = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
        if needed != before + after:
            return False
    return rewriter.change(node, node.type, [x, *node.inputs[1:]], {**node.attributes, "padding": "SAME"})


# -- into the operator behind


def _fuse_into_following(rewriter: Rewriter, node: Node) -> bool:
    """FuseBinaryOpToFollowingAffineOp: a number that is added, subtracted or multiplied before a weighted operator."""
    before = rewriter.producer(node, 0, *_BINARY)
    other = before.constant(1) if before is not None else None
    filter_, weights = node.constant(1), node.inputs[1]
    if before is None or other is None or filter_ is None or weights is None or before.activation != "NONE":
        return False
    value = before.inputs[1]
    bias = node.constant(2)
    if value is None or elements(value.shape or ()) != 1 or (node.inputs[2] is not None and bias is None):
        return False
    inputs = [before.inputs[0], *node.inputs[1:]]
    if before.type in ("MUL", "DIV"):
        scaled = filter_.scaled(other, 0, divide=before.type == "DIV")
        inputs[1] = Value(weights.shape, "FLOAT32", scaled, name=weights.name)
        return rewriter.change(node, node.type, inputs, node.attributes)
    if node.attributes.get("padding", "VALID") != "VALID":
        return False
    axis = 3 if node.type == "DEPTHWISE_CONV_2D" else 0
    channels = int((weights.shape or (0,))[axis] or 0)
    sign = 1 if before.type == "ADD" else -1
    axes = tuple(d for d in range(len(weights.shape or ())) if d != axis)

    def shifted(values: np.ndarray) -> np.ndarray:
        moved: np.ndarray = values.sum(axis=axes) * (sign * other.array.reshape(-1)[0])
        return (moved + (0 if bias is None else bias.array)).astype(np.float32)

    total = filter_.derive(("shifted", sign), shifted, [other, *([bias] if bias is not None else [])])
    inputs[2] = _make(total, (channels,))
    return rewriter.change(node, node.type, inputs, node.attributes)


def _vector_into_dense(rewriter: Rewriter, node: Node) -> bool:
    """FuseAddAndFullyConnected, FuseMulAndFullyConnected: a vector along the input's last axis."""
    before = rewriter.producer(node, 0, "ADD", "MUL")
    other = before.constant(1) if before is not None else None
    filter_, weights, bias = node.constant(1), node.inputs[1], node.constant(2)
    if before is None or other is None or filter_ is None or weights is None or before.activation != "NONE":
        return False
    if len((before.inputs[1].shape or ()) if before.inputs[1] is not None else ()) != 1:
        return False
    inputs = [before.inputs[0], *node.inputs[1:]]
    if before.type == "MUL":
        inputs[1] = Value(weights.shape, "FLOAT32", filter_.scaled(other, 1), name=weights.name)
    elif bias is None:
        return False
    else:
        total = filter_.derive("shifted by", lambda a: a @ _spread(other, a.shape[1]) + bias.array, [other, bias])
        inputs[2] = _make(total, (int((weights.shape or (0,))[0] or 0),))
    return rewriter.change(node, node.type, inputs, node.attributes)


def _spread(constant: Constant, size: int) -> np.ndarray:
    return np.broadcast_to(constant.array.reshape(-1), (size,))


_SHAPES: dict[str, list[Rule]] = {
    "STRIDED_SLICE": [_known_sizes],
    "RESHAPE": [_reshape_to_own_shape, _reshape_for_nothing, _two_reshapes],
    "TRANSPOSE": [_straight, _cancelled],
    "CAST": [_known_number],
    **{t: [_known_integers] for t in _INTEGER_FUNCTIONS},
    **{t: [_same_again] for t in ("ABS", "CEIL", "FLOOR", "RELU", "RELU6", "ROUND")},
}
_SHAPES["PACK"] = [_known_integers, _own_shape]
_SHAPES["SQUARE"] = [_square_of_difference]
_SHAPES["DIV"] = [_divided_by_root]
_SHAPES["LOGICAL_NOT"] = [_opposite]
_INTO_BEFORE: list[Rule] = [_fuse_with_convolution, _fuse_with_transpose_conv, _fuse_with_fully_connected]
_AROUND_RESHAPES: list[Rule] = [
    _move_binary_before,
    _two_reshapes_before,
    _flattened_before_reshape,
    _needless_reshape,
]
_FIRST: dict[str, list[Rule]] = {
    "ADD": [_neutral, *_INTO_BEFORE, _two_additions, *_AROUND_RESHAPES],
    "SUB": [_neutral, *_INTO_BEFORE, *_AROUND_RESHAPES],
    "MUL": [_neutral, _hard_swish, *_INTO_BEFORE, *_AROUND_RESHAPES],
    "DIV": [_neutral, _division_to_product, *_AROUND_RESHAPES],
    "MAXIMUM": [_maximum_to_relu],
    "MINIMUM": [_minimum_to_relu],
    "RESHAPE": [_reshape_for_nothing, _keep_reduced],
    "EXPAND_DIMS": [_static_expansion],
    "SQUEEZE": [_squeeze_to_reshape],
    "PAD": [_pad_for_nothing],
    "STRIDED_SLICE": [_slice_without_masks],
    "TRANSPOSE": [_straight, _trivial_transpose, _two_transposes, _transpose_after_product],
    "BATCH_MATMUL": [_transpose_into_product],
    "FULLY_CONNECTED": [_reshape_before_dense, _vector_into_dense],
    "CONV_2D": [_pad_to_same],
    "DEPTHWISE_CONV_2D": [_pad_to_same],
    **{t: [_fuse_activation, _move_value_before] for t in _ACTIVATIONS},
    **{t: [_move_value_before] for t in _VALUE_OPS if t not in _ACTIVATIONS},
}
_FIRST["RELU"] = [_relu_of_minimum, _relu_of_squares, *_FIRST["RELU"]]
_SECOND: dict[str, list[Rule]] = {
    **{t: [_fuse_into_following] for t in (*_CONVOLUTIONS, "FULLY_CONNECTED")},
    "RESHAPE": [_two_reshapes, _reshape_after_dense],
}
