"""What the cells of LSTM, GRU and SimpleRNN compute in one step.

Sources: `call` of the cells in keras-team/keras src/layers/rnn/*.py and keras-team/tf-keras src/layers/rnn/*.py, and
`standard_gru` there, which Keras 2 takes instead of a cell where a GPU could have computed it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.activations import activate
from xnnlint.keras.lower.additions import add, add_vector
from xnnlint.keras.lower.layer_scope import Scope, shape_of
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.weighted_layers import transposed

# None is a state of zeros, before the first step of a loop that is unrolled: the converter folds what is made of it.
State = Value | None
# The name of the layer whose scope a step gets, where it is that function.
STANDARD_GRU = "standard_gru"

# Those whose place among the operators of a step was seen.
_ACTIVATIONS = (None, "elu", "gelu", "hard_sigmoid", "linear", "relu", "sigmoid", "tanh")

_PLAIN = {"fused_activation_function": "NONE"}
_DENSE = {"weights_format": "DEFAULT", "keep_num_dims": False, **_PLAIN}


def lstm_step(scope: Scope, x: Value, states: list[State]) -> list[Value]:
    """The hidden state, which is what comes out, and the one that is carried on."""
    before, carried = states
    wide = 4 * _units(scope)
    z = _dense(scope, x, _kernel(scope, "kernel", shape_of(x)[-1], wide))
    inner = _multiplied(scope, before, _kernel(scope, "recurrent_kernel", wide // 4, wide))
    z = add(scope, z, inner) if inner is not None and scope.is_keras_3 else _sum(scope, inner, z)
    if scope.config.flag("use_bias", default=True):
        z = add_vector(scope, z, scope.weight("bias", (wide,), "BiasAdd/ReadVariableOp"))
    one, two, three, four = _split(scope, z, 4, 1)
    used = _gate(scope, one)
    kept = _product(scope, _gate(scope, two), carried)
    fresh = _times(scope, used, _activated(scope, three))
    new = _sum(scope, kept, fresh, kept_first=True)
    return [_times(scope, _gate(scope, four), _activated(scope, new)), new]


def gru_step(scope: Scope, x: Value, states: list[State]) -> list[Value]:
    """The hidden state."""
    (before,) = states
    units, after = _units(scope), scope.config.flag("reset_after")
    bias, recurrent_bias = _gru_biases(scope, units, after)
    y = _dense(scope, x, _kernel(scope, "kernel", shape_of(x)[-1], 3 * units))
    parts = _split(scope, y if bias is None else add_vector(scope, y, bias), 3, -1)
    recurrent = _kernel(scope, "recurrent_kernel", units, 3 * units, "" if after else "ReadVariableOp")
    inner = _multiplied(scope, before, recurrent if after else _columns(recurrent, 0, 2 * units))
    more = _gates_of_state(scope, inner, recurrent_bias, 3 if after else 2, shape_of(x)[0])
    z = _gate(scope, _sum(scope, more[0], parts[0]))
    r = _gate(scope, _sum(scope, more[1], parts[1]))
    if after:
        reset = _product(scope, r, more[2])
    else:
        reset = _multiplied(scope, _product(scope, r, before), _columns(recurrent, 2 * units, 3 * units))
    candidate = _activated(scope, _sum(scope, reset, parts[2]))
    kept = _product(scope, z, before)
    rest = scope.op("SUB", [scope.constant(1.0, "sub/x"), z], z.shape, "sub", dict(_PLAIN))
    return [_sum(scope, kept, _times(scope, rest, candidate), kept_first=True)]


def simple_step(scope: Scope, x: Value, states: list[State]) -> list[Value]:
    """The hidden state."""
    (before,) = states
    units = scope.config.whole("units", least=1)
    y = _dense(scope, x, _kernel(scope, "kernel", shape_of(x)[-1], units))
    if scope.config.flag("use_bias", default=True):
        y = add_vector(scope, y, scope.weight("bias", (units,), "BiasAdd/ReadVariableOp"))
    inner = _multiplied(scope, before, _kernel(scope, "recurrent_kernel", units, units))
    return [_activated(scope, _sum(scope, inner, y))]


# -- weights


def _units(scope: Scope) -> int:
    """How many there are.

    Raises:
        NotSupported: each gate has a product of its own.
    """
    if scope.config.whole("implementation", default=2) == 1:
        raise NotSupported("its implementation is 1, which multiplies for each gate by itself")
    return scope.config.whole("units", least=1)


def _kernel(scope: Scope, name: str, rows: int | None, columns: int, at: str = "") -> Value:
    """A kernel as FULLY_CONNECTED reads it."""
    at = at or ("MatMul/ReadVariableOp" if name == "kernel" else "MatMul_1/ReadVariableOp")
    return transposed(scope.weight(name, (rows, columns), at, 1.0), (1, 0))


def _columns(kernel: Value, begin: int, end: int) -> Value:
    """Some columns of a kernel, of which FULLY_CONNECTED reads rows."""
    assert kernel.constant is not None and kernel.shape is not None
    part = kernel.constant.derive(("columns", begin, end), lambda values: values[begin:end])
    return Value((end - begin, kernel.shape[1]), "FLOAT32", part, name=kernel.name)


def _gru_biases(scope: Scope, units: int, after: bool) -> tuple[State, State]:
    """That of what comes in, and with `reset_after` that of the state."""
    if not scope.config.flag("use_bias", default=True):
        return None, None
    if not after:
        return scope.weight("bias", (3 * units,), "BiasAdd/ReadVariableOp"), None
    at = "BiasAdd/ReadVariableOp" if scope.layer.name == STANDARD_GRU else "ReadVariableOp"
    both = scope.weight("bias", (2, 3 * units), at)
    assert both.constant is not None
    rows = (both.constant.derive(("row", n), partial(_row, number=n)) for n in range(2))
    one, two = (Value((3 * units,), "FLOAT32", row, name=both.name) for row in rows)
    # It is read once for each step, and one after the other.
    source = f"{both.constant.sources[0]}/{scope.inner_name('ReadVariableOp')}"
    for value in (one, two):
        assert value.constant is not None
        value.constant.sources = (source,)
    return one, two


def _row(values: np.ndarray, number: int) -> np.ndarray:
    row: np.ndarray = values[number]
    return row


# -- operators, which are none where an operand is zero, but whose names are taken


def _dense(scope: Scope, x: Value, kernel: Value) -> Value:
    assert kernel.shape is not None
    return scope.op("FULLY_CONNECTED", [x, kernel, None], (*shape_of(x)[:-1], kernel.shape[0]), "MatMul", dict(_DENSE))


def _multiplied(scope: Scope, x: State, kernel: Value) -> State:
    if x is not None:
        return _dense(scope, x, kernel)
    _nothing(scope, "MatMul")
    return None


def _product(scope: Scope, x: Value, other: State) -> State:
    if other is not None:
        return _times(scope, x, other)
    _nothing(scope, "mul")
    return None


def _times(scope: Scope, x: Value, other: Value) -> Value:
    return scope.op("MUL", [x, other], x.shape, "mul", dict(_PLAIN))


def _sum(scope: Scope, other: State, x: Value, kept_first: bool = False) -> Value:
    if other is None:
        _nothing(scope, "add")
        return x
    return scope.op("ADD", [other, x] if kept_first else [x, other], x.shape, "add", dict(_PLAIN))


def _nothing(scope: Scope, at: str) -> None:
    scope.inner_name(at)


def _gates_of_state(scope: Scope, inner: State, bias: State, count: int, batch: int | None) -> list[State]:
    """What the state adds to each of the first gates."""
    units = _units(scope)
    if inner is None:
        _nothing(scope, "split")
        return [None if bias is None else _part(bias, n * units, units, batch) for n in range(count)]
    inner = inner if bias is None else add_vector(scope, inner, bias)
    if scope.is_keras_3:
        return [_slice(scope, inner, n, units) for n in range(count)]
    if scope.layer.name == STANDARD_GRU:
        return [*_split(scope, inner, 3, 1)]
    sizes, axis = scope.integers([units, units, -1], "Const"), scope.integers(-1, "split_1/split_dim")
    shapes = [(batch, units), (batch, units), (batch, (count - 2) * units)]
    return [*scope.ops("SPLIT_V", [inner, sizes, axis], shapes, "split", {"num_splits": 3})]


def _part(vector: Value, begin: int, size: int, batch: int | None) -> Value:
    """A part of a bias that was added to zeros: one row for each of the batch."""
    assert vector.constant is not None and batch is not None
    part = vector.constant.derive(
        ("part", begin, batch), lambda values: np.broadcast_to(values[begin : begin + size], (batch, size))
    )
    return Value((batch, size), "FLOAT32", part, name=vector.name)


def _slice(scope: Scope, x: Value, number: int, units: int) -> Value:
    """x[:, number * units : (number + 1) * units], where the third part is open in the source."""
    begin = scope.integers([0, number * units], "strided_slice/stack")
    end = scope.integers([0, (number + 1) * units if number < 2 else 0], "strided_slice/stack_1")
    masks = {"begin_mask": 1 if number else 3, "end_mask": 1 if number < 2 else 3, "ellipsis_mask": 0}
    masks |= {"new_axis_mask": 0, "shrink_axis_mask": 0}
    inputs = [x, begin, end, scope.integers([1, 1], "strided_slice/stack_2")]
    return scope.op("STRIDED_SLICE", inputs, (*shape_of(x)[:-1], units), "strided_slice", masks)


def _split(scope: Scope, x: Value, count: int, axis: int) -> list[Value]:
    shape = (*shape_of(x)[:-1], int(shape_of(x)[-1] or 0) // count)
    inputs = [scope.integers(axis, "split/split_dim"), x]
    return scope.ops("SPLIT", inputs, [shape] * count, "split", {"num_splits": count})


def _gate(scope: Scope, x: Value) -> Value:
    return _by(scope, x, "recurrent_activation")


def _activated(scope: Scope, x: Value) -> Value:
    return _by(scope, x, "activation")


def _by(scope: Scope, x: Value, role: str) -> Value:
    activation = scope.config.given(role)
    if activation not in _ACTIVATIONS:
        raise NotSupported(f"its {role} is {activation!r}; in loops known are tanh, sigmoid, relu and the like")
    return activate(scope, x, activation)
