"""LSTM, GRU and SimpleRNN, and two of them in both directions: loops (WHILE), or one step after the other.

Sources: keras-team/keras src/layers/rnn/*.py and keras-team/tf-keras src/layers/rnn/*.py; which operators and in which
order was seen in files that TensorFlow 2.21 converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.description import Layer
from xnnlint.keras.lower.functions import Arguments, Function, Result
from xnnlint.keras.lower.layer_scope import NotConverted, Scope, shape_of
from xnnlint.keras.lower.loops import loop
from xnnlint.keras.lower.program import Step, Value
from xnnlint.keras.lower.recurrent_cells import STANDARD_GRU, State, gru_step, lstm_step, simple_step
from xnnlint.keras.lower.variables import assign, read, variable
from xnnlint.keras.lower.weighted_layers import transposed

if TYPE_CHECKING:
    import numpy as np

_PLAIN = {"fused_activation_function": "NONE"}
_FIXED_BATCH = "convert the model with a fixed batch, xnnlint convert --batch 1, or give its Input a batch_size"


class _Kind(NamedTuple):
    """A recurrent layer: what its cell does in a step, how many states it has, its name, and whether it has gates."""

    step: Callable[[Scope, Value, list[State]], list[Value]]
    states: int
    cell: str
    gates: bool = True


_KINDS = {
    "GRU": _Kind(gru_step, 1, "gru_cell"),
    "LSTM": _Kind(lstm_step, 2, "lstm_cell"),
    "SimpleRNN": _Kind(simple_step, 1, "simple_rnn_cell", gates=False),
}
# A config can claim any number of them, and each has operators of its own.
_MOST_STEPS = 1 << 8
# In which order operators of more steps are in the file is not known.
_MOST_STEPS_OF_GRU = 4
_CELL_VARIABLES = ("kernel", "recurrent_kernel", "bias")


def _recurrent(bound: Arguments) -> Result:
    outputs = _states(bound.scope, _sequence(bound))
    return outputs if bound.scope.config.flag("return_state") else outputs[0]


def _sequence(bound: Arguments) -> Value:
    """The sequence that a call is given, and nothing else.

    Raises:
        NotSupported: it is given more, or its shape is none that converts.
    """
    x = bound.given("sequences")
    if isinstance(x, (list, tuple)) and len(x) == 1:
        x = x[0]
    if not isinstance(x, Value) or any(bound.given(name) is not None for name in ("initial_state", "mask")):
        raise NotSupported("it is given its first state, or a mask")
    if x.dtype != "FLOAT32":
        raise NotSupported(f"its input is of type {x.dtype}")
    batch, steps, features = shape_of(x, 3)
    if batch is None and bound.scope.config.flag("unroll"):
        raise NotSupported("it is unrolled, and its first state depends on a dynamic batch")
    if batch is None:
        raise NotConverted("with a dynamic batch", _FIXED_BATCH)
    if steps is None or features is None:
        raise NotSupported("the length of its sequences is only known at run time")
    if steps < 1:
        raise NotSupported("its sequences have no steps")
    return x


def _states(scope: Scope, x: Value) -> list[Value]:
    """What comes out, batch first, and the states after the last step."""
    config, kind = scope.config, _KINDS[scope.layer.class_name]
    if config.flag("time_major"):
        raise NotSupported("its time_major puts steps before the batch")
    units, whole = config.whole("units", least=1), config.flag("return_sequences")
    fused = _is_fused(scope)
    if scope.is_keras_3 and kind.gates and config.real("recurrent_dropout", default=0.0):
        raise NotSupported("its recurrent_dropout makes it multiply for each gate by itself")
    kept_on = config.flag("stateful")
    if fused and kind.states == 2 and not kept_on and not config.flag("return_state"):
        return [_one_operator(scope, x, units, whole)]
    # What Keras 2 fuses is a function of its own, whose operators stand where it is called.
    at = scope.step("PartitionedCall") if fused else None
    _count_random_numbers(scope)
    first = _Kept(scope, units, shape_of(x)[0], kind.states) if kept_on else None
    backwards, unroll = config.flag("go_backwards"), config.flag("unroll")
    turned = _turned(scope, x, at or "transpose")
    if unroll:
        found = _unrolled(scope, turned, kind, first, whole, backwards)
        return first.assigned(found) if first is not None else found
    if backwards:
        turned = _reversed(scope, turned, 0, at or "ReverseV2")
    inner = Scope(scope.builder, scope.layer, "", scope.label, scope.training) if fused else scope

    def body(within: Scope, y: Value, states: list[Value]) -> list[Value]:
        return kind.step(_cell(scope, within, kind, fused), y, [*states])

    start = first.values if first is not None else None
    kept, *states = loop(inner, turned, [units] * kind.states, start, body, whole, at or scope.step("while"))
    y = _turned(scope, kept, at or "transpose_1") if whole else _last(scope, kept, at or "strided_slice_2", 0)
    return [y, *states] if first is None else first.assigned([y, *states])


class _Kept:
    """The states of a layer that keeps them for the next run."""

    def __init__(self, scope: Scope, units: int, batch: int | None, count: int) -> None:
        self.scope = scope
        names = ["rnn_state", "rnn_state_1"][:count] if scope.is_keras_3 else ["Variable_1", "Variable"][-count:]
        readers = ["ReadVariableOp/0", "ReadVariableOp/1"] if scope.is_keras_3 else ["Read", "Read_1"]
        pairs = zip(names, readers, strict=False)
        self.handles = [variable(scope, name, reader, (batch, units)) for name, reader in pairs]
        self.values = [
            read(scope, handle, (batch, units), "ReadVariableOp" if scope.is_keras_3 else "Read")
            for handle in self.handles
        ]

    def assigned(self, found: list[Value]) -> list[Value]:
        """What comes out, with the states assigned."""
        for handle, state in zip(self.handles, found[1:], strict=True):
            assign(self.scope, handle, state, "AssignVariableOp")
        return found


def _count_random_numbers(scope: Scope) -> None:
    """Dropout of Keras 3 draws its numbers whether they are used or not; the file counts them."""
    if not scope.is_keras_3:
        return
    for name in ("dropout", "recurrent_dropout"):
        if scope.config.real(name, default=0.0) > 0:
            seed = variable(scope, "seed_generator_state", "Add/ReadVariableOp", (2,), "INT64")
            step = scope.step("Add")
            drawn = scope.constant([0, 1], "Const", "INT64")
            value = read(scope, seed, (2,), step, "INT64")
            assign(scope, seed, scope.op("ADD", [value, drawn], (2,), step, dict(_PLAIN), "INT64"), step)


def _is_fused(scope: Scope) -> bool:
    """Whether Keras 2 takes the function that a GPU could compute (`_could_use_gpu_kernel`)."""
    config = scope.config
    if scope.is_keras_3 or scope.layer.class_name == "SimpleRNN":
        return False
    usual = (config.given("activation"), config.given("recurrent_activation")) == ("tanh", "sigmoid")
    plain = not config.flag("unroll") and not config.real("recurrent_dropout", default=0.0)
    after = scope.layer.class_name == "LSTM" or config.flag("reset_after")
    return usual and plain and after and config.flag("use_bias", default=True)


def _cell(outer: Scope, within: Scope, kind: _Kind, fused: bool = False) -> Scope:
    """Where a cell puts its operators: Keras 2's functions have none of their own."""
    name = STANDARD_GRU if fused else kind.cell
    layer = Layer(
        name,
        f"{outer.layer.class_name}Cell",
        outer.layer.config,
        weights=_cell_weights(outer.layer),
        path=outer.layer.path or (outer.layer.name,),
    )
    prefix = within.prefix if fused else within.builder.inner(within.prefix, kind.cell)
    return Scope(within.builder, layer, prefix, outer.label, outer.training)


def _cell_weights(layer: Layer) -> dict[str, Callable[[], np.ndarray]]:
    """The variables of a layer's cell by their names: files have them as "cell/0" or "lstm_cell/kernel"."""
    found = {}
    for name, load in layer.weights.items():
        place, _, last = name.rpartition("/")
        if not place or "cell" in place.rpartition("/")[2]:
            number = int(last) if last.isdecimal() else -1
            found[_CELL_VARIABLES[number] if 0 <= number < len(_CELL_VARIABLES) else last] = load
    return found


def _turned(scope: Scope, x: Value, at: str | Step) -> Value:
    """Steps first, or batch first."""
    shape = shape_of(x)
    order = scope.integers([1, 0, 2], "transpose/perm")
    return scope.op("TRANSPOSE", [x, order], (shape[1], shape[0], *shape[2:]), at)


def _reversed(scope: Scope, x: Value, axis: int, at: str | Step) -> Value:
    return scope.op("REVERSE_V2", [x, scope.integers([axis], "ReverseV2/axis")], x.shape, at)


def _last(scope: Scope, x: Value, at: str | Step, axis: int) -> Value:
    """The last step."""
    shape = shape_of(x)
    others = 7 & ~(1 << axis)
    masks = {"begin_mask": others, "end_mask": others, "ellipsis_mask": 0, "new_axis_mask": 0}
    begin = [-1 if d == axis else 0 for d in range(3)]
    numbers = (begin, [0, 0, 0], [1, 1, 1])
    inputs = [x, *(scope.integers(some, f"strided_slice/{n}") for n, some in enumerate(numbers))]
    out = (*shape[:axis], *shape[axis + 1 :])
    return scope.op("STRIDED_SLICE", inputs, out, at, {**masks, "shrink_axis_mask": 1 << axis})


def _unrolled(scope: Scope, x: Value, kind: _Kind, first: _Kept | None, whole: bool, backwards: bool) -> list[Value]:
    """One step after the other."""
    steps, batch, features = shape_of(x)
    many = int(steps or 0)
    if scope.layer.class_name == "GRU" and not (scope.is_keras_3 or scope.config.flag("reset_after")):
        raise NotSupported("it is unrolled, without reset_after")
    if many > (_MOST_STEPS_OF_GRU if scope.layer.class_name == "GRU" else _MOST_STEPS):
        raise NotSupported(f"it is unrolled over {many:,} steps")
    parts = scope.ops("UNPACK", [x], [(batch, features)] * many, "unstack", {"num": many, "axis": 0})
    states: list[State] = [None] * kind.states if first is None else [*first.values]
    results = []
    for part in parts[::-1] if backwards else parts:
        new = kind.step(_cell(scope, scope, kind), part, states)
        results.append(new[0])
        states = [*new]
    done = [state for state in states if state is not None]
    if not whole:
        return [results[-1], *done]
    packing = {"values_count": many, "axis": 0}
    packed = scope.op("PACK", results, (many, *shape_of(results[0])), "stack", packing)
    return [_turned(scope, packed, "transpose_1"), *done]


def _one_operator(scope: Scope, x: Value, units: int, whole: bool) -> Value:
    """What the converter makes of an LSTM of Keras 2 (prepare_composite_functions_tf.cc): its states are variables."""
    batch, steps, features = shape_of(x)
    step = scope.step("PartitionedCall")
    if scope.config.flag("go_backwards"):
        x = _reversed(scope, x, 1, step)
    cell = _cell(scope, scope, _KINDS["LSTM"], fused=True)
    kernels = [
        _quarters(cell.weight(name, (size, 4 * units), f"PartitionedCall/{name}", 1.0))
        for name, size in (("kernel", features), ("recurrent_kernel", units))
    ]
    bias = cell.weight("bias", (4 * units,), "PartitionedCall/bias")
    biases = _quarters(bias)
    states = [Value((batch, units), name=f"{scope.prefix}/{name}", is_variable=True) for name in ("output", "cell")]
    inputs = [x, *kernels[0], *kernels[1], *[None] * 3, *biases, *[None] * 2, *states, *[None] * 4]
    attributes = {"fused_activation_function": "TANH", "cell_clip": 10.0, "proj_clip": 0.0, "time_major": False}
    y = scope.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (batch, steps, units), step, attributes)
    return y if whole else _last(scope, y, step, 1)


def _quarters(value: Value) -> Sequence[Value]:
    """The four gates of a kernel or bias, kernels transposed."""
    matrix = value if value.shape is not None and len(value.shape) == 1 else transposed(value, (1, 0))
    assert matrix.shape is not None and matrix.constant is not None
    size = int(matrix.shape[0] or 0) // 4
    parts = [matrix.constant.derive(("rows", n), partial(_rows, start=n * size, size=size)) for n in range(4)]
    return [Value((size, *matrix.shape[1:]), "FLOAT32", part, name=value.name) for part in parts]


def _rows(values: np.ndarray, start: int, size: int) -> np.ndarray:
    return values[start : start + size]


# -- in both directions


def _both_ways(bound: Arguments) -> Result:
    """Bidirectional: the layer, a copy that goes backwards, and what joins them."""
    scope, config = bound.scope, bound.scope.config
    x = _sequence(bound)
    forward = _direction(scope, "forward")
    backward = _direction(scope, "backward")
    one, *states = _states(forward, x)
    two, *more = _states(backward, x)
    if forward.config.flag("return_sequences"):
        at = "ReverseV2"
        two = _reversed(scope, two, 1, at)
    merged = _merged(scope, one, two, config.given("merge_mode"))
    if forward.config.flag("return_state"):
        return [*merged, *states, *more]
    return merged if len(merged) > 1 else merged[0]


def _merged(scope: Scope, one: Value, two: Value, mode: Any) -> list[Value]:
    if mode is None:
        return [one, two]
    if mode == "concat":
        shape = shape_of(one)
        joined = (*shape[:-1], 2 * int(shape[-1] or 0))
        axis = -1 if scope.is_keras_3 else len(shape) - 1
        return [scope.op("CONCATENATION", [one, two], joined, "concat", {"axis": axis, **_PLAIN})]
    if mode in ("sum", "ave"):
        y = scope.op("ADD", [one, two], one.shape, "add", dict(_PLAIN))
        if mode == "sum":
            return [y]
        return [scope.op("DIV", [y, scope.constant(2.0, "truediv/y")], y.shape, "truediv", dict(_PLAIN))]
    if mode == "mul":
        return [scope.op("MUL", [one, two], one.shape, "mul", dict(_PLAIN))]
    raise NotSupported(f"its merge_mode is {mode!r}")


def _direction(scope: Scope, way: str) -> Scope:
    """The scope of one of the two layers.

    Raises:
        NotSupported: it is none that is known here.
    """
    own = way == "backward" and scope.config.given("backward_layer") is not None
    layer = _inner_layer(scope.config, "backward_layer" if own else "layer")
    if not own or not scope.is_keras_3:
        layer.name = f"{way}_{layer.name.removeprefix('forward_').removeprefix('backward_')}"
    if way == "backward" and not own:
        layer.config = {**layer.config, "go_backwards": not layer.config.get("go_backwards")}
    layer.path = (*(scope.layer.path or (scope.layer.name,)), layer.name)
    places = (f"{way}_layer/", f"{layer.name}/")
    layer.weights = {
        name.partition("/")[2]: load for name, load in scope.layer.weights.items() if name.startswith(places)
    }
    return Scope(scope.builder, layer, scope.builder.inner(scope.prefix, layer.name), scope.label, scope.training)


def _inner_layer(config: Options, name: str) -> Layer:
    """The layer that a wrapper holds.

    Raises:
        NotSupported: it is none of Keras's recurrent ones.
    """
    entry = config.given(name)
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise NotSupported("the layer that it wraps cannot be read")
    own = str(entry.get("module") or "keras").startswith(("keras", "tf_keras"))
    kind = str(entry.get("class_name"))
    if kind not in _KINDS or not own:
        raise NotSupported("it wraps a layer that is not known here")
    inner = dict(entry["config"])
    return Layer(str(inner.get("name") or kind.lower()), kind, inner)


_PARAMETERS = ("sequences", "initial_state", "mask")
RECURRENT = {
    **{name: Function(_PARAMETERS, _recurrent) for name in _KINDS},
    "Bidirectional": Function(_PARAMETERS, _both_ways),
}
