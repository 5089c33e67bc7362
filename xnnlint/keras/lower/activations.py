"""Activation functions, as layers and as arguments of layers.

What each becomes was seen in files of TensorFlow 2.21's converter; a chain that the converter would fuse into one
operator (GELU, PRELU) is that operator here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.lower.layer_scope import Scope, axis_of, shape_of
from xnnlint.keras.lower.log_sum_exp import softmax_of_axes
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.registry import ACTIVATION_LAYERS, activation_layer

_UNARY = {
    "relu": ("RELU", "Relu"),
    "relu6": ("RELU6", "Relu6"),
    "sigmoid": ("LOGISTIC", "Sigmoid"),
    "tanh": ("TANH", "Tanh"),
    "elu": ("ELU", "Elu"),
    "exponential": ("EXP", "Exp"),
}
_SAME = {"silu": "swish", "hard_swish": "hard_silu", "exp": "exponential", "leakyrelu": "leaky_relu"}


def activate(scope: Scope, x: Value, activation: Any) -> Value:
    """Adds an activation as a layer's config names it.

    Args:
        activation: a name, None, or the config of an activation layer or function.

    Raises:
        NotSupported: it is unknown here, or the user's own.
    """
    name, options = _named(activation)
    if name in ("", "linear"):
        return x
    if name in _UNARY:
        type_, at = _UNARY[name]
        return unary(scope, type_, x, at)
    if name in _COMPOSED:
        return _COMPOSED[name](scope, x)
    kind, _, class_name = name.partition(" ")
    if kind == "layer" and class_name in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[class_name](scope, x, options)
    raise NotSupported(f"its activation {name!r} is not known here")


def _named(activation: Any) -> tuple[str, Options]:
    """The name of an activation and its options; that of a layer is "layer" and its class."""
    if activation is None or isinstance(activation, str):
        name = activation or ""
        return _SAME.get(name, name), Options({})
    if isinstance(activation, dict):
        config = activation.get("config")
        if isinstance(config, str):
            return _named(config) if _is_keras(activation) else (f"{config} of the user's own", Options({}))
        class_name = str(activation.get("class_name"))
        if class_name in ACTIVATION_LAYERS and isinstance(config, dict):
            return f"layer {class_name}", Options(config)
    raise NotSupported("its activation cannot be read")


def _is_keras(entry: dict[str, Any]) -> bool:
    module = entry.get("module")
    return not isinstance(module, str) or module.startswith(("keras", "tf_keras"))


def unary(scope: Scope, type_: str, x: Value, at: str, attributes: dict[str, Any] | None = None) -> Value:
    """An elementwise operator with one input."""
    return scope.op(type_, [x], x.shape, at, attributes)


def _with(
    scope: Scope, type_: str, x: Value, number: float, at: str, attributes: dict[str, Any] | None = None
) -> Value:
    other = scope.constant(number, f"{at}/y")
    return scope.op(type_, [x, other], x.shape, at, attributes)


def _swish(scope: Scope, x: Value) -> Value:
    gate = unary(scope, "LOGISTIC", x, "Sigmoid")
    return scope.op("MUL", [x, gate], x.shape, "mul_1")


def _softplus(scope: Scope, x: Value) -> Value:
    step = scope.step("Softplus")
    e = scope.op("EXP", [x], x.shape, step)
    one = scope.constant(1.0, "Softplus/one")
    return scope.op("LOG", [scope.op("ADD", [e, one], x.shape, step)], x.shape, step)


def _softsign(scope: Scope, x: Value) -> Value:
    step = scope.step("Softsign")
    magnitude = scope.op("ABS", [x], x.shape, step)
    one = scope.constant(1.0, "Softsign/one")
    return scope.op("DIV", [x, scope.op("ADD", [magnitude, one], x.shape, step)], x.shape, step)


def _mish(scope: Scope, x: Value) -> Value:
    gate = unary(scope, "TANH", _softplus(scope, x), "Tanh")
    return scope.op("MUL", [x, gate], x.shape, "mul")


def _selu(scope: Scope, x: Value) -> Value:
    step = scope.step("Selu")
    zero, scale, one, product = (scope.constant(n, f"Selu/{n}") for n in (0.0, 1.05070098, 1.0, 1.75809933))
    positive = scope.op("GREATER", [x, zero], x.shape, step, dtype="BOOL")
    scaled = scope.op("MUL", [x, scale], x.shape, step)
    e = scope.op("EXP", [x], x.shape, step)
    less = scope.op("MUL", [scope.op("SUB", [e, one], x.shape, step), product], x.shape, step)
    return scope.op("SELECT_V2", [positive, scaled, less], x.shape, step)


def _hard_sigmoid(scope: Scope, x: Value) -> Value:
    """Keras 2: 0.2 x + 0.5 between 0 and 1; Keras 3: relu6(x + 3) / 6."""
    if scope.builder.dialect == "keras2":
        y = _with(scope, "ADD", _with(scope, "MUL", x, 0.2, "Mul"), 0.5, "Add")
        return clip(scope, y, 0.0, 1.0, "clip_by_value")
    y = unary(scope, "RELU6", _with(scope, "ADD", x, 3.0, "add"), "Relu6")
    return _with(scope, "DIV", y, 6.0, "truediv")


def _hard_silu(scope: Scope, x: Value) -> Value:
    gate = _hard_sigmoid(scope, x)
    return scope.op("MUL", [x, gate], x.shape, "mul_hard")


def clip(scope: Scope, x: Value, low: float, high: float, at: str) -> Value:
    """tf.clip_by_value."""
    y = _with(scope, "MINIMUM", x, high, f"{at}/Minimum")
    return _with(scope, "MAXIMUM", y, low, at)


def gelu(scope: Scope, x: Value, approximate: bool) -> Value:
    """GELU, exact or by tanh."""
    return unary(scope, "GELU", x, "Gelu/mul_3" if approximate else "Gelu/mul_2", {"approximate": approximate})


def softmax(scope: Scope, x: Value, axes: Sequence[int] = (-1,)) -> Value:
    """Softmax along one axis, which TFLite has along the last one, or along several."""
    rank = len(shape_of(x))
    if len(axes) != 1:
        return softmax_of_axes(scope, x, list(axes))
    if axis_of(axes[0], rank) != rank - 1:
        raise NotSupported("it is a softmax along another axis than the last one")
    return unary(scope, "SOFTMAX", x, "Softmax", {"beta": 1.0})


def log_softmax(scope: Scope, x: Value, axis: int = -1) -> Value:
    """Logarithm of the softmax along the last axis."""
    if axis_of(axis, len(shape_of(x))) != len(shape_of(x)) - 1:
        raise NotSupported("it is a softmax along another axis than the last one")
    return unary(scope, "LOG_SOFTMAX", x, "LogSoftmax")


def leaky_relu(scope: Scope, x: Value, slope: float) -> Value:
    """Leaky ReLU."""
    return unary(scope, "LEAKY_RELU", x, "LeakyRelu", {"alpha": slope})


@activation_layer("ReLU")
def relu_layer(scope: Scope, x: Value, config: Options) -> Value:
    """`relu` of tf_keras/backend.py, and of keras/layers/activations/relu.py."""
    top = None if config.given("max_value") is None else config.real("max_value")
    slope = config.real("negative_slope", default=0.0)
    threshold = config.real("threshold", default=0.0)
    if slope and top is None and threshold == 0:
        return leaky_relu(scope, x, slope)
    if slope:
        raise NotSupported("it is a ReLU with a slope and another option")
    if threshold == 0 and top == 6:
        return unary(scope, "RELU6", x, "Relu6")
    if threshold:
        above = scope.op("GREATER", [x, scope.constant(threshold, "Greater/y")], x.shape, "Greater", dtype="BOOL")
        if scope.is_keras_3:
            y = scope.op("SELECT_V2", [above, x, scope.constant(0.0, "SelectV2/e")], x.shape, "SelectV2")
            return y if top is None else clip(scope, y, 0.0, top, "clip_by_value")
        mask = scope.op("CAST", [above], x.shape, "Cast", {"in_data_type": "BOOL", "out_data_type": "FLOAT32"})
        y = scope.op("MUL", [x, mask], x.shape, "mul")
    else:
        y = unary(scope, "RELU", x, "Relu")
    return y if top is None else clip(scope, y, 0.0, top, "clip_by_value")


@activation_layer("ELU")
def elu_layer(scope: Scope, x: Value, config: Options) -> Value:
    alpha = config.real("alpha", default=1.0)
    y = unary(scope, "ELU", x, "Elu")
    if alpha == 1:
        return y
    scaled = _with(scope, "MUL", y, alpha, "mul")
    positive = scope.op("GREATER", [x, scope.constant(0.0, "Greater/y")], x.shape, "Greater", dtype="BOOL")
    return scope.op("SELECT_V2", [positive, y, scaled], x.shape, "SelectV2")


@activation_layer("LeakyReLU")
def _leaky_layer(scope: Scope, x: Value, config: Options) -> Value:
    slope = config.real("alpha", "negative_slope", default=0.3)
    if not slope and not scope.is_keras_3:
        return unary(scope, "RELU", x, "Relu")
    return leaky_relu(scope, x, slope)


@activation_layer("ThresholdedReLU")
def _thresholded_layer(scope: Scope, x: Value, config: Options) -> Value:
    theta = config.real("theta", default=1.0)
    above = scope.op("GREATER", [x, scope.constant(theta, "Greater/y")], x.shape, "Greater", dtype="BOOL")
    mask = scope.op("CAST", [above], x.shape, "Cast", {"in_data_type": "BOOL", "out_data_type": "FLOAT32"})
    return scope.op("MUL", [x, mask], x.shape, "mul")


@activation_layer("PReLU")
def _prelu_layer(scope: Scope, x: Value, config: Options) -> Value:
    shape = shape_of(x)
    shared = {axis_of(a, len(shape)) for a in config.wholes("shared_axes", default=[])}
    if len(shape) == 4 and scope.builder.channels_first:
        # A TRANSPOSE moves in between what the converter's pattern of PRELU expects.
        raise NotSupported("it is a PReLU in a model with channels_first, which the converter takes apart")
    wanted = tuple(1 if d in shared else size for d, size in enumerate(shape) if d)
    slope = scope.weight("alpha", wanted, "ReadVariableOp")
    return scope.op("PRELU", [x, slope], shape, "add")


@activation_layer("Softmax")
def _softmax_layer(scope: Scope, x: Value, config: Options) -> Value:
    return softmax(scope, x, config.wholes("axis", default=-1))


@activation_layer("Activation")
def _activation_layer(scope: Scope, x: Value, config: Options) -> Value:
    return activate(scope, x, config.given("activation"))


_COMPOSED: dict[str, Callable[[Scope, Value], Value]] = {
    "swish": _swish,
    "softplus": _softplus,
    "softsign": _softsign,
    "mish": _mish,
    "selu": _selu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "gelu": lambda scope, x: gelu(scope, x, False),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "leaky_relu": lambda scope, x: leaky_relu(scope, x, 0.2),
}
