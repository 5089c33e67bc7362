"""Activation functions, as layers and as arguments of layers.

What each becomes was seen in files of TensorFlow 2.21's converter; a chain that the converter would fuse into one
operator (GELU, PRELU) is that operator here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xnnlint.keras.lower.layer_scope import Scope, Unsupported, axis_of, shape_of
from xnnlint.keras.lower.program import Value

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
        Unsupported: it is unknown here, or the user's own.
    """
    name, options = _named(activation)
    if name in ("", "linear"):
        return x
    if name in _UNARY:
        type_, at = _UNARY[name]
        return unary(scope, type_, x, at)
    if name in _COMPOSED:
        return _COMPOSED[name](scope, x, options)
    raise Unsupported(f"its activation {name!r} is not known here")


def _named(activation: Any) -> tuple[str, dict[str, Any]]:
    if activation is None or isinstance(activation, str):
        name = activation or ""
        return _SAME.get(name, name), {}
    if isinstance(activation, dict):
        config = activation.get("config")
        if isinstance(config, str):
            return _named(config) if _is_keras(activation) else (f"{config} of the user's own", {})
        if activation.get("class_name") in ACTIVATION_LAYERS and isinstance(config, dict):
            return f"layer {activation['class_name']}", config
    raise Unsupported("its activation cannot be read")


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


def _swish(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    gate = unary(scope, "LOGISTIC", x, "Sigmoid")
    return scope.op("MUL", [x, gate], x.shape, "mul_1")


def _softplus(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    step = scope.step("Softplus")
    e = scope.op("EXP", [x], x.shape, step)
    one = scope.constant(1.0, "Softplus/one")
    return scope.op("LOG", [scope.op("ADD", [e, one], x.shape, step)], x.shape, step)


def _softsign(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    step = scope.step("Softsign")
    magnitude = scope.op("ABS", [x], x.shape, step)
    one = scope.constant(1.0, "Softsign/one")
    return scope.op("DIV", [x, scope.op("ADD", [magnitude, one], x.shape, step)], x.shape, step)


def _mish(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    gate = unary(scope, "TANH", _softplus(scope, x, options), "Tanh")
    return scope.op("MUL", [x, gate], x.shape, "mul")


def _selu(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    step = scope.step("Selu")
    zero, scale, one, product = (scope.constant(n, f"Selu/{n}") for n in (0.0, 1.05070098, 1.0, 1.75809933))
    positive = scope.op("GREATER", [x, zero], x.shape, step, dtype="BOOL")
    scaled = scope.op("MUL", [x, scale], x.shape, step)
    e = scope.op("EXP", [x], x.shape, step)
    less = scope.op("MUL", [scope.op("SUB", [e, one], x.shape, step), product], x.shape, step)
    return scope.op("SELECT_V2", [positive, scaled, less], x.shape, step)


def _hard_sigmoid(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    """Keras 2: 0.2 x + 0.5 between 0 and 1; Keras 3: relu6(x + 3) / 6."""
    if scope.builder.dialect == "keras2":
        y = _with(scope, "ADD", _with(scope, "MUL", x, 0.2, "Mul"), 0.5, "Add")
        return clip(scope, y, 0.0, 1.0, "clip_by_value")
    y = unary(scope, "RELU6", _with(scope, "ADD", x, 3.0, "add"), "Relu6")
    return _with(scope, "DIV", y, 6.0, "truediv")


def _hard_silu(scope: Scope, x: Value, options: dict[str, Any]) -> Value:
    gate = _hard_sigmoid(scope, x, options)
    return scope.op("MUL", [x, gate], x.shape, "mul_hard")


def clip(scope: Scope, x: Value, low: float, high: float, at: str) -> Value:
    """tf.clip_by_value."""
    y = _with(scope, "MINIMUM", x, high, f"{at}/Minimum")
    return _with(scope, "MAXIMUM", y, low, at)


def gelu(scope: Scope, x: Value, approximate: bool) -> Value:
    """GELU, exact or by tanh."""
    return unary(scope, "GELU", x, "Gelu/mul_3" if approximate else "Gelu/mul_2", {"approximate": approximate})


def softmax(scope: Scope, x: Value, axis: Any = -1) -> Value:
    """Softmax along one axis; TFLite has it along the last one."""
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if len(axes) != 1:
        raise Unsupported("it is a softmax over several axes")
    rank = len(shape_of(x))
    if axis_of(int(axes[0]), rank) != rank - 1:
        raise Unsupported("it is a softmax along another axis than the last one")
    return unary(scope, "SOFTMAX", x, "Softmax", {"beta": 1.0})


def log_softmax(scope: Scope, x: Value, axis: Any = -1) -> Value:
    """Logarithm of the softmax along the last axis."""
    if axis_of(int(axis), len(shape_of(x))) != len(shape_of(x)) - 1:
        raise Unsupported("it is a softmax along another axis than the last one")
    return unary(scope, "LOG_SOFTMAX", x, "LogSoftmax")


def leaky_relu(scope: Scope, x: Value, slope: float) -> Value:
    """Leaky ReLU."""
    return unary(scope, "LEAKY_RELU", x, "LeakyRelu", {"alpha": float(slope)})


def _number(config: dict[str, Any], *names: str, default: float | None) -> float | None:
    """An option, which Keras 2 may have stored as an array, and Keras 3 under another name."""
    for name in names:
        value = config.get(name)
        if isinstance(value, dict):
            value = value.get("value")
        if value is not None:
            return float(value)
    return default


def _relu_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    """`relu` of tf_keras/backend.py, and of keras/layers/activations/relu.py."""
    top = _number(config, "max_value", default=None)
    slope = _number(config, "negative_slope", default=0.0) or 0.0
    threshold = _number(config, "threshold", default=0.0) or 0.0
    if slope and top is None and threshold == 0:
        return leaky_relu(scope, x, slope)
    if slope:
        raise Unsupported("it is a ReLU with a slope and another option")
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


def _elu_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    alpha = _number(config, "alpha", default=1.0)
    y = unary(scope, "ELU", x, "Elu")
    if alpha == 1:
        return y
    scaled = _with(scope, "MUL", y, alpha or 0.0, "mul")
    positive = scope.op("GREATER", [x, scope.constant(0.0, "Greater/y")], x.shape, "Greater", dtype="BOOL")
    return scope.op("SELECT_V2", [positive, y, scaled], x.shape, "SelectV2")


def _leaky_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    slope = _number(config, "alpha", "negative_slope", default=0.3) or 0.0
    if not slope and not scope.is_keras_3:
        return unary(scope, "RELU", x, "Relu")
    return leaky_relu(scope, x, slope)


def _thresholded_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    theta = _number(config, "theta", default=1.0)
    above = scope.op("GREATER", [x, scope.constant(theta, "Greater/y")], x.shape, "Greater", dtype="BOOL")
    mask = scope.op("CAST", [above], x.shape, "Cast", {"in_data_type": "BOOL", "out_data_type": "FLOAT32"})
    return scope.op("MUL", [x, mask], x.shape, "mul")


def _prelu_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    shape = shape_of(x)
    shared = {axis_of(a, len(shape)) for a in config.get("shared_axes") or ()}
    wanted = tuple(1 if d in shared else size for d, size in enumerate(shape) if d)
    slope = scope.weight("alpha", wanted, "ReadVariableOp")
    return scope.op("PRELU", [x, slope], shape, "add")


def _softmax_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    return softmax(scope, x, config.get("axis", -1))


def _activation_layer(scope: Scope, x: Value, config: dict[str, Any]) -> Value:
    return activate(scope, x, config.get("activation"))


ACTIVATION_LAYERS: dict[str, Callable[[Scope, Value, dict[str, Any]], Value]] = {
    "Activation": _activation_layer,
    "ReLU": _relu_layer,
    "ELU": _elu_layer,
    "LeakyReLU": _leaky_layer,
    "ThresholdedReLU": _thresholded_layer,
    "PReLU": _prelu_layer,
    "Softmax": _softmax_layer,
}

_COMPOSED: dict[str, Callable[[Scope, Value, dict[str, Any]], Value]] = {
    "swish": _swish,
    "softplus": _softplus,
    "softsign": _softsign,
    "mish": _mish,
    "selu": _selu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "gelu": lambda scope, x, options: gelu(scope, x, False),
    "softmax": lambda scope, x, options: softmax(scope, x),
    "log_softmax": lambda scope, x, options: log_softmax(scope, x),
    "leaky_relu": lambda scope, x, options: leaky_relu(scope, x, 0.2),
    **{f"layer {name}": function for name, function in ACTIVATION_LAYERS.items()},
}
