"""A loop over the steps of a sequence: a WHILE with a condition and a body, which are graphs of their own.

Sources: `rnn` of keras-team/keras src/backend/tensorflow/rnn.py and of tf_keras/src/backend.py; names of arguments as
`while_loop` of tensorflow/tensorflow python/ops/while_v2.py gives them, which decide on the order in the body. What the
converter makes of lists of tensors was seen in its files (LowerStaticTensorListPass of google-ai-edge/LiteRT).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from xnnlint.keras.lower.layer_scope import Builder, Scope, normalize, shape_of
from xnnlint.keras.lower.program import Constant, Program, Shape, Step, Value

# From the scope of the body, what is read in a step, and the states before it, to those after it.
Body = Callable[[Scope, Value, list[Value]], list[Value]]

_PLAIN = {"fused_activation_function": "NONE"}


def loop(
    scope: Scope,
    x: Value,
    units: Sequence[int],
    start: Sequence[Value] | None,
    body: Body,
    keep_all: bool,
    at: str | Step,
) -> list[Value]:
    """Goes through a sequence, steps first.

    Args:
        units: the size of each state.
        start: the states before the first step, None for zeros.
        body: of its states the first is what comes out of a step.
        keep_all: whether what came out of every step is kept, or of the last one.

    Returns:
        What was kept, steps first, and the states after the last step.
    """
    steps, batch, _ = shape_of(x, 3)
    list_shape = (steps if keep_all else 1, batch, units[0])
    start = start or [_zeros(scope, (batch, size), "zeros") for size in units]
    zero = scope.constant(0, "time", "INT32")
    carried = [zero, zero, _zeros(scope, list_shape, "TensorArrayV2_1"), *start, x]
    outputs = scope.ops("WHILE", carried, [value.shape for value in carried], at)
    for value, source in zip(outputs, carried, strict=True):
        value.dtype = source.dtype
    node = outputs[0].producer
    assert node is not None
    node.called = (_condition(scope, carried, int(steps or 0)), _body(scope, carried, body, keep_all))
    return outputs[2:-1]


def _zeros(scope: Scope, shape: Shape, at: str) -> Value:
    sizes = tuple(n or 0 for n in shape)
    # Without memory of its own: a config alone can claim any size.
    constant = Constant(
        lambda: np.broadcast_to(np.float32(0), sizes),
        ("zeros", sizes),
        (f"{scope.prefix}/{at}",),
        zeros=lambda: math.prod(sizes),
    )
    return Value(sizes, "FLOAT32", constant, name=f"{scope.prefix}/{at}")


def _inside(scope: Scope, carried: list[Value]) -> tuple[Scope, list[Value]]:
    """Where a function of the loop puts its operators, and its arguments."""
    prefix = f"{scope.prefix}/while".lstrip("/")
    states = len(carried) - 4
    names = [f"{prefix}/loop_counter", "placeholder", *(f"placeholder_{n + 1}" for n in range(states + 1))]
    names.append("TensorArrayV2Read/TensorListGetItem")
    arguments = [
        Value(value.shape, value.dtype, name=normalize(f"{prefix}/{name}"))
        for value, name in zip(carried, names, strict=True)
    ]
    program = Program(inputs=arguments)
    builder = Builder(program, scope.builder.dialect, scope.builder.share, scope.builder.has_weights)
    return replace(scope, builder=builder, prefix=prefix), arguments


def _condition(scope: Scope, carried: list[Value], steps: int) -> Program:
    """Whether there is a step left; Keras 3 counts twice."""
    scope, (counter, time, *_) = _inside(scope, carried)
    limit = scope.integers(steps, "Less/y")
    left = scope.op("LESS", [time, limit], (), "Less", dtype="BOOL")
    if scope.is_keras_3:
        within = scope.op("LESS", [counter, limit], (), "Less_1", dtype="BOOL")
        left = scope.op("LOGICAL_AND", [within, left], (), "LogicalAnd", dtype="BOOL")
    scope.builder.program.outputs = [left]
    return scope.builder.program


def _body(scope: Scope, carried: list[Value], body: Body, keep_all: bool) -> Program:
    """One step."""
    scope, (counter, time, kept, *states, x) = _inside(scope, carried)
    _, batch, features = shape_of(x)
    read = scope.op("GATHER", [x, time], (batch, features), "TensorArrayV2Read/TensorListGetItem", {"axis": 0})
    states = body(scope, read, states)
    written = _written(scope, kept, time, states[0], keep_all)
    after = [_next(scope, time, "add"), _next(scope, counter, "add")]
    scope.builder.program.outputs = [after[1], after[0], written, *states, x]
    return scope.builder.program


def _next(scope: Scope, number: Value, at: str | Step) -> Value:
    return scope.op("ADD", [number, scope.integers(1, "add/y")], (), at, dict(_PLAIN), "INT32")


def _written(scope: Scope, kept: Value, time: Value, y: Value, keep_all: bool) -> Value:
    """A list with a tensor put in its place: what is before it, the tensor, and what is behind it."""
    count, batch, units = shape_of(kept)
    step = scope.step("TensorArrayV2Write/TensorListSetItem")
    name = "TensorArrayV2Write/TensorListSetItem"
    one = [1, *shape_of(y)]
    if not keep_all:
        return scope.op("RESHAPE", [y, scope.integers(one, f"{name}/shape")], tuple(one), step)
    single = scope.integers([1], f"{name}/one")
    sizes = [scope.op("RESHAPE", [time, single], (1,), step, dtype="INT32"), scope.integers([-1, -1], f"{name}/rest")]
    size = scope.op("CONCATENATION", sizes, (3,), step, {"axis": 0, **_PLAIN}, "INT32")
    start = scope.integers([0, 0, 0], f"{name}/start")
    before = scope.op("SLICE", [kept, start, size], (None, None, None), step)
    following = scope.op("RESHAPE", [_next(scope, time, step), single], (1,), step, dtype="INT32")
    places = [following, scope.integers([0, 0], f"{name}/zeros")]
    place = scope.op("CONCATENATION", places, (3,), step, {"axis": 0, **_PLAIN}, "INT32")
    behind = scope.op("SLICE", [kept, place, scope.integers([-1] * 3, f"{name}/all")], (None, batch, units), step)
    middle = scope.op("RESHAPE", [y, scope.integers(one, f"{name}/shape")], tuple(one), step)
    return scope.op("CONCATENATION", [before, middle, behind], (count, batch, units), step, {"axis": 0, **_PLAIN})
