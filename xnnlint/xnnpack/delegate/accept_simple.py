"""Acceptance of unary, binary and variable operators.

Source: google-ai-edge/LiteRT tflite/delegates/xnnpack/xnnpack_delegate.cc `VisitUnaryNode`, `VisitBinaryNode`,
`VisitAssignVariableNode`, `VisitReadVariableNode`, `VisitVarHandleNode`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from xnnlint.model.graph import Operator, Tensor
from xnnlint.xnnpack.delegate import accept_checks as check
from xnnlint.xnnpack.delegate.accept_checks import MAX_RANK, Scope
from xnnlint.xnnpack.delegate.rejection import Objection, Rejection

_FLOAT_UNARIES = (
    *("ABS", "CEIL", "COS", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "NEG", "RELU", "RELU6", "RELU_N1_TO_1"),
    *("ROUND", "RSQRT", "SIN", "SQRT", "SQUARE"),
)
_TYPED_BINARIES = ("ADD", "MUL", "SUB")
_FLOAT_BINARIES = ("DIV", "MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE")
_FUSING_BINARIES = ("ADD", "MUL", "SUB", "DIV")


def _ends(scope: Scope, op: Operator) -> tuple[Tensor, Tensor]:
    return scope.graph.tensors[op.inputs[0]], scope.graph.output_tensor(op)


def unary(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 1, 1)
    x, y = _ends(scope, op)
    yield from check.shape(x, 0, MAX_RANK)
    if op.type in _FLOAT_UNARIES:
        yield from check.float_type(x)
        yield from check.float_type(y)
    elif op.type == "DEQUANTIZE":
        yield from check.q8(x)
        yield from check.float_type(y)
    elif op.type == "ELU":
        yield from check.float_or_q8(x, unsigned=False)
        yield from check.float_or_q8(y, unsigned=False)
    else:
        yield from check.float_or_q8(x)
        yield from check.float_or_q8(y)
    if op.type == "LEAKY_RELU":
        yield from _leaky_relu(op, x, y)
    elif op.type == "QUANTIZE":
        yield from _quantize(x, y)


def _leaky_relu(op: Operator, x: Tensor, y: Tensor) -> Iterator[Rejection]:
    alpha = float(op.attributes.get("alpha", 0.0))
    if not check.usable_scale(abs(alpha)):
        yield Rejection(Objection.ALPHA, "a normal alpha other than 0", f"{alpha:g}")
    ratio = _scale(x) / _scale(y) if _scale(x) and _scale(y) else math.nan
    if math.isnan(ratio):
        return
    if not 1 / 256 <= ratio <= 128:
        yield Rejection(Objection.QUANTIZATION, "input scale 1/256 to 128 times the output scale", f"{ratio:g} times")
    if not -127.99609375 <= ratio * alpha <= 128 or abs(ratio * alpha) < 1 / 256:
        yield Rejection(Objection.QUANTIZATION, "alpha times scale ratio of 1/256 to 128", f"{ratio * alpha:g}")


def _quantize(x: Tensor, y: Tensor) -> Iterator[Rejection]:
    if x.dtype in check.FLOATS:
        return
    if x.dtype != y.dtype:
        yield Rejection(Objection.DTYPE, "a float input, or the same type on both sides", f"{x.dtype} to {y.dtype}")
    ratio = _scale(x) / _scale(y) if _scale(y) else math.nan
    if not 1 / 256 <= ratio <= 128:
        yield Rejection(Objection.QUANTIZATION, "input scale 1/256 to 128 times the output scale", f"{ratio:g} times")


def _scale(tensor: Tensor) -> float:
    if tensor.dtype not in ("INT8", "UINT8") or tensor.quantization is None or not tensor.quantization.scale:
        return 0.0
    return tensor.quantization.scale[0]


def binary(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 1)
    a, b, y = scope.graph.tensors[op.inputs[0]], scope.graph.tensors[op.inputs[1]], scope.graph.output_tensor(op)
    for x in (a, b):
        yield from check.shape(x, 0, MAX_RANK)
    for tensor in (a, b, y):
        yield from check.float_or_q8(tensor) if op.type in _TYPED_BINARIES else check.float_type(tensor)
    if op.type in _TYPED_BINARIES:
        yield from check.same_types(a, b, y)
        yield from _binary_scales(op, a, b, y)
    if op.type in _FUSING_BINARIES:
        yield from check.fused_activation(op)
    if op.type == "PRELU":
        yield from check.static_weight(scope, b, "slopes", Objection.SLOPE)


def _binary_scales(op: Operator, a: Tensor, b: Tensor, y: Tensor) -> Iterator[Rejection]:
    if not (_scale(a) and _scale(b) and _scale(y)):
        return
    if op.type == "MUL":
        ratios, low = [_scale(a) * _scale(b) / _scale(y)], 1 / 65536
    else:
        ratios, low = [_scale(a) / _scale(y), _scale(b) / _scale(y)], 1 / 1024
    for ratio in ratios:
        if not low <= ratio < 256:
            yield Rejection(
                Objection.QUANTIZATION, f"input scale {low:g} to 256 times the output scale", f"{ratio:g} times"
            )


def read_variable(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 1, 1)
    y = scope.graph.output_tensor(op)
    if y.rank == 0:
        yield Rejection(Objection.RANK, "a variable of known rank above 0", "rank 0 or unknown", y.index)
    yield from check.float_or_q8(y)
    yield from _variable(scope, op, y)


def assign_variable(scope: Scope, op: Operator) -> Iterator[Rejection]:
    yield from check.arity(op, 2, 0)
    x = scope.graph.tensors[op.inputs[1]]
    yield from check.float_or_q8(x)
    yield from _variable(scope, op, x)


def _variable(scope: Scope, op: Operator, value: Tensor) -> Iterator[Rejection]:
    """`ResourceInfo::AddProxyValue`: the variable is named in this subgraph, and has one type and shape throughout."""
    handle = scope.graph.producer(op.inputs[0])
    if handle is None or handle.type != "VAR_HANDLE":
        yield Rejection(Objection.VARIABLE, "a VAR_HANDLE in the same subgraph", "none", op.inputs[0])
    first = scope.graph.tensors[scope.variables.setdefault(op.inputs[0], value.index)]
    if (first.dtype, first.shape) != (value.dtype, value.shape):
        actual = f"{first.dtype}{list(first.shape)} and {value.dtype}{list(value.shape)}"
        yield Rejection(Objection.VARIABLE, "one type and shape for the variable", actual, op.inputs[0])


def var_handle(scope: Scope, op: Operator) -> Iterator[Rejection]:
    # The delegate adds handles afterwards, with the reads and assignments that use them.
    yield Rejection(Objection.VARIABLE, "a variable that a delegated operator reads or assigns", "none")
