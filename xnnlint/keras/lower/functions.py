"""Functions used as layers: TFOpLambda of Keras 2 ("math.multiply") and operations of Keras 3 ("Multiply").

Arguments come by position or name, in the call or, in Keras 3, in the config; a constant may stand where a tensor does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xnnlint.keras.lower.activations import activate as named_activation
from xnnlint.keras.lower.activations import clip, gelu, leaky_relu, log_softmax, softmax, unary
from xnnlint.keras.lower.layer_scope import Scope, Unsupported, axis_of, shape_of
from xnnlint.keras.lower.program import Shape, Value, broadcast
from xnnlint.keras.lower.shape_layers import concatenate, expand_axis, pad, reduce, reshape_to, resize, transpose_by

_NONE = {"fused_activation_function": "NONE"}
Result = Value | list[Value]


@dataclass
class Bound:
    """The arguments of one call of a function, by name."""

    scope: Scope
    values: dict[str, Any]

    def given(self, *names: str, default: Any = None) -> Any:
        """The first of these that was given and is not None."""
        return next((self.values[n] for n in names if self.values.get(n) is not None), default)

    def tensor(self, *names: str) -> Value:
        """An argument that is a tensor; a constant becomes one.

        Raises:
            Unsupported: it is missing or something else.
        """
        value = self.given(*names)
        if isinstance(value, Value):
            return value
        try:
            return self.scope.constant(value, f"{names[0]}")
        except (TypeError, ValueError):
            raise Unsupported(f"its argument {names[0]!r} is no tensor") from None

    def tensors(self, *names: str) -> list[Value]:
        """An argument that is a list of tensors."""
        value = self.given(*names)
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, Value) for v in value):
            raise Unsupported(f"its argument {names[0]!r} is no list of tensors")
        return list(value)

    def numbers(self, *names: str) -> list[int]:
        """An argument that is a list of whole numbers, none of them computed at run time."""
        value = self.given(*names)
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(n, int) for n in numbers):
            raise Unsupported(f"its argument {names[0]!r} is computed at run time")
        return [int(n) for n in numbers]


@dataclass(frozen=True)
class Function:
    """How a function is called, and what it becomes.

    Attributes:
        parameters: in the order of positional arguments.
    """

    parameters: tuple[str, ...]
    emit: Callable[[Bound], Result]


def _binary(type_: str, at: str, commutes: bool = False, swap: bool = False) -> Function:
    def emit(bound: Bound) -> Value:
        x, y = bound.tensor("x"), bound.tensor("y")
        if swap:
            x, y = y, x
        return binary(bound.scope, type_, x, y, at, commutes)

    return Function(("x", "y"), emit)


def binary(scope: Scope, type_: str, x: Value, y: Value, at: str, commutes: bool = False) -> Value:
    """An elementwise operator with two inputs; the converter puts a constant second where the order does not matter."""
    if commutes and x.constant is not None:
        x, y = y, x
    attributes = dict(_NONE) if type_ in ("ADD", "SUB", "MUL", "DIV") else {}
    if x.dtype != y.dtype and "FLOAT32" in (x.dtype, y.dtype):
        y = _as_type(scope, y, x.dtype, at) if y.constant is not None else y
    return scope.op(type_, [x, y], broadcast(x.shape, y.shape), at, attributes, x.dtype)


def _as_type(scope: Scope, value: Value, dtype: str, at: str) -> Value:
    assert value.constant is not None
    return scope.constant(value.constant.array, f"{at}/y", dtype)


def _unary(type_: str, at: str) -> Function:
    return Function(("x",), lambda bound: unary(bound.scope, type_, bound.tensor("x", "features"), at))


def _activation(name: str) -> Function:
    return Function(("x",), lambda b: named_activation(b.scope, b.tensor("x", "features", "logits"), name))


def _reduction(type_: str, at: str) -> Function:
    def emit(bound: Bound) -> Value:
        keep = bool(bound.given("keepdims", "keep_dims", default=False))
        return reduce(bound.scope, bound.tensor("x"), type_, bound.given("axis"), keep, at)

    return Function(("x", "axis", "keepdims"), emit)


def _softmax(bound: Bound) -> Value:
    return softmax(bound.scope, bound.tensor("x", "logits"), bound.given("axis", default=-1))


def _log_softmax(bound: Bound) -> Value:
    return log_softmax(bound.scope, bound.tensor("x", "logits"), bound.given("axis", default=-1))


def _clip(bound: Bound) -> Value:
    low, high = bound.given("low", "clip_value_min", "x_min"), bound.given("high", "clip_value_max", "x_max")
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        raise Unsupported("its limits are no numbers")
    return clip(bound.scope, bound.tensor("x"), float(low), float(high), "clip_by_value")


def _backend_relu(bound: Bound) -> Value:
    from xnnlint.keras.lower.activations import ACTIVATION_LAYERS

    options = {n: bound.given(n) for n in ("max_value", "threshold")}
    return ACTIVATION_LAYERS["ReLU"](
        bound.scope, bound.tensor("x"), {**options, "negative_slope": bound.given("alpha")}
    )


def _silu(bound: Bound) -> Value:
    """x * sigmoid(beta * x)."""
    x, beta = bound.tensor("x", "features"), bound.given("beta", default=1.0)
    if beta == 1:
        return named_activation(bound.scope, x, "swish")
    scaled = bound.scope.op("MUL", [x, bound.scope.constant(beta, "mul/y")], x.shape, "mul", dict(_NONE))
    gate = unary(bound.scope, "LOGISTIC", scaled, "Sigmoid")
    return bound.scope.op("MUL", [x, gate], x.shape, "mul_1", dict(_NONE))


def _elu(bound: Bound) -> Value:
    from xnnlint.keras.lower.activations import ACTIVATION_LAYERS

    return ACTIVATION_LAYERS["ELU"](bound.scope, bound.tensor("x"), {"alpha": bound.given("alpha", default=1.0)})


def _gelu(bound: Bound) -> Value:
    return gelu(
        bound.scope, bound.tensor("x", "features"), bool(bound.given("approximate", default=_gelu_default(bound)))
    )


def _gelu_default(bound: Bound) -> bool:
    return bound.scope.builder.dialect == "keras3"


def _leaky_relu(bound: Bound) -> Value:
    return leaky_relu(bound.scope, bound.tensor("x", "features"), bound.given("alpha", "negative_slope", default=0.2))


def _l2_normalize(bound: Bound) -> Value:
    x, scope = bound.tensor("x"), bound.scope
    rank = len(shape_of(x))
    axis = bound.given("axis", "dim")
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, int) or axis_of(axis, rank) != rank - 1:
        raise Unsupported("it is an L2 norm along other axes than the last one")
    return scope.op("L2_NORMALIZATION", [x], x.shape, "l2_normalize", dict(_NONE))


def _blocks(type_: str, at: str) -> Function:
    def emit(bound: Bound) -> Value:
        x, block = bound.tensor("x"), int(bound.given("block_size"))
        batch, height, width, channels = shape_of(x, 4)
        if bound.given("data_format", default="NHWC") != "NHWC":
            raise Unsupported("its data_format is not NHWC")
        if type_ == "DEPTH_TO_SPACE":
            grow: tuple[Callable[[int], int], Callable[[int], int]] = (lambda n: n * block, lambda n: n // block**2)
        else:
            grow = (lambda n: n // block, lambda n: n * block**2)
        sides = [None if n is None else grow[0](n) for n in (height, width)]
        shape = (batch, *sides, None if channels is None else grow[1](channels))
        return bound.scope.op(type_, [x], shape, at, {"block_size": block})

    return Function(("x", "block_size", "data_format"), emit)


def _pad(bound: Bound) -> Value:
    if str(bound.given("mode", default="constant")).lower() != "constant" or bound.given("constant_values", default=0):
        raise Unsupported("it pads with something else than zeros")
    paddings = bound.given("paddings", "pad_width")
    try:
        pairs = [[int(n) for n in pair] for pair in paddings]
    except (TypeError, ValueError):
        raise Unsupported("its paddings are computed at run time") from None
    return pad(bound.scope, bound.tensor("x"), pairs, "Pad")


def _split(bound: Bound) -> list[Value]:
    x, axis = bound.tensor("x"), int(bound.given("axis", default=0))
    parts = bound.given("parts", "num_or_size_splits", "indices_or_sections")
    shape = list(shape_of(x))
    place = axis_of(axis, len(shape))
    size = shape[place]
    if not isinstance(parts, int) or size is None or size % parts:
        raise Unsupported("it splits into parts of different sizes")
    shape[place] = size // parts
    inputs = [bound.scope.integers(axis, "split/split_dim"), x]
    return bound.scope.ops("SPLIT", inputs, [tuple(shape)] * parts, "split", {"num_splits": parts})


def _concat(bound: Bound) -> Value:
    return concatenate(bound.scope, bound.tensors("values", "xs"), int(bound.given("axis", default=0)))


def _reshape(bound: Bound) -> Value:
    x = bound.tensor("x")
    target = bound.given("shape", "newshape")
    if not isinstance(target, (list, tuple)):
        raise Unsupported("its new shape is computed at run time")
    if all(isinstance(n, int) for n in target):
        return reshape_to(bound.scope, x, [int(n) for n in target], "Reshape")
    if any(n is None for n in target):
        return reshape_to(bound.scope, x, [-1 if n is None else int(n) for n in target], "Reshape")
    parts = [n if isinstance(n, Value) else bound.scope.integers(n, f"Reshape/shape/{i}") for i, n in enumerate(target)]
    packing = {"values_count": len(parts), "axis": 0}
    packed = bound.scope.op("PACK", parts, (len(parts),), "Reshape/shape", packing, "INT32")
    shape = tuple(_size(n) if isinstance(n, Value) else n if isinstance(n, int) and n >= 0 else None for n in target)
    return bound.scope.op("RESHAPE", [x, packed], shape, "Reshape")


def _size(value: Value) -> int | None:
    """A number that is part of a tensor's shape, if it is known."""
    part = value.producer
    if part is None or part.type != "STRIDED_SLICE" or part.attributes.get("shrink_axis_mask") != 1:
        return None
    begin, whole = part.constant(1), part.inputs[0].producer if part.inputs[0] is not None else None
    source = whole.inputs[0] if whole is not None and whole.type == "SHAPE" else None
    if begin is None or source is None or source.shape is None:
        return None
    place = int(begin.array.reshape(-1)[0])
    return source.shape[place] if -len(source.shape) <= place < len(source.shape) else None


def _transpose(bound: Bound) -> Value:
    x = bound.tensor("x")
    order = bound.given("perm", "axes")
    default = list(range(len(shape_of(x))))[::-1]
    return transpose_by(bound.scope, x, default if order is None else [int(d) for d in order], "transpose")


def _expand(bound: Bound) -> Value:
    x, axes = bound.tensor("x"), bound.numbers("axis")
    rank = len(shape_of(x)) + len(axes)
    for axis in sorted(axis_of(n, rank) for n in axes) if len(axes) > 1 else axes:
        x = expand_axis(bound.scope, x, axis, "ExpandDims")
    return x


def _squeeze(bound: Bound) -> Value:
    from xnnlint.keras.lower.shape_layers import squeeze_axis

    x = bound.tensor("x")
    axes = bound.numbers("axis") if bound.given("axis") is not None else []
    if len(axes) != 1 or shape_of(x)[axis_of(axes[0], len(shape_of(x)))] != 1:
        raise Unsupported("it drops several axes")
    return squeeze_axis(bound.scope, x, axes[0], "Squeeze")


_CAST_FROM = ("BOOL", "FLOAT16", "FLOAT32", "FLOAT64", "INT32", "UINT8")


def _cast(bound: Bound) -> Value:
    x, to = bound.tensor("x"), str(bound.given("dtype", default="float32"))
    if to.split(".")[-1].strip("'<>").lower() not in ("float32", "float") or x.dtype not in _CAST_FROM:
        raise Unsupported(f"it casts to {to}")
    if x.dtype == "FLOAT32":
        return x
    return bound.scope.op("CAST", [x], x.shape, "Cast", {"in_data_type": x.dtype, "out_data_type": "FLOAT32"})


def _identity(bound: Bound) -> Value:
    return bound.tensor("x")


def _shape(bound: Bound) -> Value:
    x = bound.tensor("x")
    return bound.scope.op("SHAPE", [x], (len(shape_of(x)),), "Shape", {"out_type": "INT32"}, "INT32")


def _resize(bound: Bound) -> Value:
    flags = [bound.given(n, default=False) for n in ("preserve_aspect_ratio", "antialias", "crop_to_aspect_ratio")]
    if any(flags):
        raise Unsupported("it resizes with options that are not known here")
    method = str(bound.given("method", "interpolation", default="bilinear")).lower()
    height, width = bound.numbers("size")
    return resize(bound.scope, bound.tensor("x"), [height, width], method)


def _power(bound: Bound) -> Value:
    x, exponent = bound.tensor("x"), bound.tensor("y")
    known = exponent.constant.scalar if exponent.constant is not None and exponent.shape == () else None
    if known == 2:
        return bound.scope.op("MUL", [x, x], x.shape, "Pow", dict(_NONE))
    if known in (0.5, -0.5):
        return unary(bound.scope, "SQRT" if known > 0 else "RSQRT", x, "Pow")
    return x if known == 1 else binary(bound.scope, "POW", x, exponent, "Pow")


def _getitem(bound: Bound) -> Value:
    """x[...] with whole numbers, slices of step 1 and an ellipsis."""
    x, spec = bound.tensor("x"), bound.given("spec", "slice_spec", "key")
    items = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    items = [_as_slice(item) for item in items]
    shape = shape_of(x)
    if Ellipsis in items:
        place = items.index(Ellipsis)
        items[place : place + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    items += [slice(None)] * (len(shape) - len(items))
    if len(items) != len(shape):
        raise Unsupported("it takes other parts of a tensor than slices")
    begin, end, out = [], [], []
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    for d, (item, size) in enumerate(zip(items, shape, strict=True)):
        first, last = (item.start, item.stop) if isinstance(item, slice) else (item, None)
        whole = (first is None or isinstance(first, int)) and (last is None or isinstance(last, int))
        if not whole or (isinstance(item, slice) and item.step not in (None, 1)):
            raise Unsupported("it takes other parts of a tensor than slices")
        if not isinstance(item, slice):
            masks["shrink_axis_mask"] |= 1 << d
            begin.append(first), end.append(first + 1)
            continue
        masks["begin_mask"] |= (first is None) << d
        masks["end_mask"] |= (last is None) << d
        begin.append(first or 0), end.append(last or 0)
        out.append(None if size is None else len(range(size)[item]))
    return _strided_slice(bound.scope, x, begin, end, masks, tuple(out))


def _as_slice(item: Any) -> Any:
    """Keras 2 stores slices as dicts."""
    if isinstance(item, dict) and set(item) == {"start", "stop", "step"}:
        return slice(item["start"], item["stop"], item["step"])
    return item


def _strided_slice(
    scope: Scope, x: Value, begin: list[int], end: list[int], masks: dict[str, int], shape: Shape
) -> Value:
    cut = [
        scope.integers(n, f"strided_slice/stack{s}") for n, s in ((begin, ""), (end, "_1"), ([1] * len(begin), "_2"))
    ]
    return scope.op("STRIDED_SLICE", [x, *cut], shape, "strided_slice", masks, x.dtype)


_ADD, _MUL = _binary("ADD", "AddV2", commutes=True), _binary("MUL", "Mul", commutes=True)
_SUB, _DIV = _binary("SUB", "Sub"), _binary("DIV", "truediv")
_MAX, _MIN = _binary("MAXIMUM", "Maximum", commutes=True), _binary("MINIMUM", "Minimum", commutes=True)
_ABS, _SQUARE, _SQRT = _unary("ABS", "Abs"), _unary("SQUARE", "Square"), _unary("SQRT", "Sqrt")
_EXP, _LOG, _NEG = _unary("EXP", "Exp"), _unary("LOG", "Log"), _unary("NEG", "Neg")
_MEAN, _SUM = _reduction("MEAN", "Mean"), _reduction("SUM", "Sum")
_TOP, _BOTTOM, _PRODUCT = (_reduction(f"REDUCE_{n}", n.capitalize()) for n in ("MAX", "MIN", "PROD"))
_CLIP, _POW = Function(("x", "low", "high"), _clip), Function(("x", "y"), _power)
_SOFTMAX, _GELU = Function(("x", "axis"), _softmax), Function(("x", "approximate"), _gelu)
_RESHAPE, _TRANSPOSE = Function(("x", "shape"), _reshape), Function(("x", "perm"), _transpose)
_CONCAT, _PAD = Function(("values", "axis"), _concat), Function(("x", "paddings", "mode"), _pad)
_EXPAND, _SQUEEZE = Function(("x", "axis"), _expand), Function(("x", "axis"), _squeeze)
_SILU, _CAST = Function(("x", "beta"), _silu), Function(("x", "dtype"), _cast)
_LEAKY, _SPLIT = Function(("x", "alpha"), _leaky_relu), Function(("x", "parts", "axis"), _split)
_SAME, _L2_NORMALIZE = Function(("x",), _identity), Function(("x", "axis"), _l2_normalize)

TF_FUNCTIONS: dict[str, Function] = {
    "__operators__.add": _ADD, "math.add": _ADD, "math.multiply": _MUL, "__operators__.mul": _MUL,
    "math.subtract": _SUB, "__operators__.sub": _SUB, "math.truediv": _DIV, "__operators__.truediv": _DIV,
    "math.divide": _DIV, "math.divide_no_nan": Function((), lambda b: _refuse()),
    "__operators__.radd": _binary("ADD", "AddV2", True, swap=True), "__operators__.rmul": _MUL,
    "__operators__.rsub": _binary("SUB", "Sub", swap=True),
    "__operators__.rtruediv": _binary("DIV", "truediv", swap=True),
    "math.maximum": _MAX, "math.minimum": _MIN,
    "math.squared_difference": _binary("SQUARED_DIFFERENCE", "SquaredDifference", commutes=True),
    "math.abs": _ABS, "math.square": _SQUARE, "math.sqrt": _SQRT, "math.rsqrt": _unary("RSQRT", "Rsqrt"),
    "math.exp": _EXP, "math.log": _LOG, "math.negative": _NEG, "__operators__.neg": _NEG,
    "math.sin": _unary("SIN", "Sin"), "math.cos": _unary("COS", "Cos"), "math.floor": _unary("FLOOR", "Floor"),
    "math.ceil": _unary("CEIL", "Ceil"), "math.round": _unary("ROUND", "Round"),
    "math.pow": _POW, "__operators__.pow": _POW,
    "math.reduce_mean": _MEAN, "math.reduce_sum": _SUM, "math.reduce_max": _TOP, "math.reduce_min": _BOTTOM,
    "math.reduce_prod": _PRODUCT,
    "math.sigmoid": _activation("sigmoid"), "math.tanh": _activation("tanh"), "math.softplus": _activation("softplus"),
    "nn.relu": _activation("relu"), "nn.relu6": _activation("relu6"), "nn.elu": _activation("elu"),
    "nn.selu": _activation("selu"), "nn.sigmoid": _activation("sigmoid"), "nn.tanh": _activation("tanh"),
    "nn.softplus": _activation("softplus"), "nn.softsign": _activation("softsign"), "nn.silu": _SILU,
    "nn.swish": _SILU, "nn.leaky_relu": _LEAKY, "nn.gelu": _GELU, "nn.softmax": _SOFTMAX,
    "nn.log_softmax": Function(("x", "axis"), _log_softmax), "keras.backend.relu": Function(("x",), _backend_relu),
    "keras.activations.relu": Function(("x", "alpha", "max_value", "threshold"), _backend_relu),
    "keras.activations.sigmoid": _activation("sigmoid"), "keras.activations.swish": _activation("swish"),
    "keras.activations.hard_sigmoid": _activation("hard_sigmoid"), "keras.activations.tanh": _activation("tanh"),
    "math.l2_normalize": _L2_NORMALIZE, "nn.l2_normalize": _L2_NORMALIZE,
    "clip_by_value": _CLIP, "concat": _CONCAT, "split": _SPLIT, "reshape": _RESHAPE, "transpose": _TRANSPOSE,
    "expand_dims": _EXPAND, "squeeze": _SQUEEZE, "cast": _CAST,
    "compat.v1.transpose": _TRANSPOSE, "compat.v1.squeeze": _SQUEEZE,
    "pad": _PAD, "compat.v1.pad": _PAD, "identity": _SAME, "stop_gradient": _SAME, "convert_to_tensor": _SAME,
    "shape": Function(("x",), _shape), "compat.v1.shape": Function(("x",), _shape),
    "nn.depth_to_space": _blocks("DEPTH_TO_SPACE", "DepthToSpace"),
    "nn.space_to_depth": _blocks("SPACE_TO_DEPTH", "SpaceToDepth"),
    "compat.v1.depth_to_space": _blocks("DEPTH_TO_SPACE", "DepthToSpace"),
    "compat.v1.space_to_depth": _blocks("SPACE_TO_DEPTH", "SpaceToDepth"),
    "image.resize": Function(("x", "size", "method"), _resize),
    "__operators__.getitem": Function(("x", "spec"), _getitem),
}  # fmt: skip

KERAS3_OPERATIONS: dict[str, Function] = {
    "Add": _ADD, "Multiply": _MUL, "Subtract": _SUB, "TrueDivide": _DIV, "Divide": _DIV, "Maximum": _MAX,
    "Minimum": _MIN, "Absolute": _ABS, "Abs": _ABS, "Square": _SQUARE, "Sqrt": _SQRT, "Exp": _EXP, "Log": _LOG,
    "Negative": _NEG, "Rsqrt": _unary("RSQRT", "Rsqrt"), "Sin": _unary("SIN", "Sin"), "Cos": _unary("COS", "Cos"),
    "Floor": _unary("FLOOR", "Floor"), "Ceil": _unary("CEIL", "Ceil"), "Power": _POW,
    "Mean": _MEAN, "Sum": _SUM, "Max": _TOP, "Min": _BOTTOM,
    "Relu": _activation("relu"), "Relu6": _activation("relu6"), "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"), "Silu": _activation("swish"), "HardSigmoid": _activation("hard_sigmoid"),
    "HardSilu": _activation("hard_silu"), "Elu": Function(("x", "alpha"), _elu), "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"), "Gelu": _GELU, "LeakyRelu": _LEAKY, "Softmax": _SOFTMAX,
    "Clip": _CLIP, "Concatenate": _CONCAT, "Reshape": _RESHAPE, "Transpose": _TRANSPOSE, "ExpandDims": _EXPAND,
    "Squeeze": _SQUEEZE, "Split": _SPLIT, "GetItem": Function(("x", "spec"), _getitem), "Pad": _PAD, "Identity": _SAME,
    "Resize": Function(("x", "size", "method"), _resize), "Cast": _CAST, "StopGradient": _SAME,
}  # fmt: skip

# What the same parameter is called elsewhere; the functions here know it by the name on the left.
_ALIASES = {
    "x": ("a", "input", "input_tensor", "tensor", "t", "value", "images", "image", "x1", "features", "logits"),
    "y": ("b", "x2", "exponent"),
    "values": ("xs", "arrays"),
    "shape": ("newshape", "new_shape"),
    "low": ("clip_value_min", "x_min"),
    "high": ("clip_value_max", "x_max"),
    "keepdims": ("keep_dims",),
    "alpha": ("negative_slope",),
    "spec": ("slice_spec", "key"),
}


def call_function(scope: Scope, function: Function, args: list[Any], kwargs: dict[str, Any]) -> Result:
    """Adds what a function becomes.

    Args:
        args, kwargs: of the call, with tensors as values; in Keras 3 with the options of the config.

    Raises:
        Unsupported: it is called in a way that is not known here.
    """
    values = dict(zip(function.parameters, args, strict=False))
    for name, others in _ALIASES.items():
        for other in others:
            if name in function.parameters and values.get(name) is None and kwargs.get(other) is not None:
                values[name] = kwargs[other]
    values |= {name: value for name, value in kwargs.items() if value is not None}
    try:
        return function.emit(Bound(scope, values))
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as fault:
        raise Unsupported(f"its arguments are not understood ({type(fault).__name__})") from None


def _refuse() -> Result:
    raise Unsupported("it is not known here")
