"""Functions used as layers: TFOpLambda of Keras 2 ("math.multiply") and operations of Keras 3 ("Multiply").

Arguments come by position or name, in the call or, in Keras 3, in the config; a constant may stand where a tensor does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options, whole
from xnnlint.keras.lower.activations import activate as named_activation
from xnnlint.keras.lower.activations import clip, elu_layer, gelu, leaky_relu, log_softmax, relu_layer, softmax, unary
from xnnlint.keras.lower.additions import add
from xnnlint.keras.lower.layer_scope import CONSTANT_TYPES, Scope, axis_of, shape_of
from xnnlint.keras.lower.normalization_layers import l2_normalize
from xnnlint.keras.lower.program import Value, broadcast
from xnnlint.keras.lower.shape_layers import (
    concatenate,
    expand_axis,
    mirror,
    pad,
    reduce,
    reshape_to,
    resize,
    squeeze_axes,
    transpose_by,
)

_NONE = {"fused_activation_function": "NONE"}
Result = Value | list[Value]


class Arguments(Options):
    """The arguments of one call of a function, by name."""

    def __init__(self, scope: Scope, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.scope = scope

    def tensor(self, *names: str) -> Value:
        """An argument that is a tensor; a constant becomes one."""
        value = self.given(*names)
        return value if isinstance(value, Value) else self.scope.constant(self.array(*names), names[0])

    def tensors(self, *names: str) -> list[Value]:
        """An argument that is a list of tensors."""
        value = self.given(*names)
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, Value) for v in value):
            raise NotSupported(f"its argument {names[0]!r} is no list of tensors")
        return list(value)


class Function(Struct, frozen=True):
    """How a function is called, and what it becomes.

    Attributes:
        parameters: in the order of positional arguments.
    """

    parameters: tuple[str, ...]
    emit: Callable[[Arguments], Result]


def _binary(type_: str, at: str, commutes: bool = False, swap: bool = False) -> Function:
    def emit(bound: Arguments) -> Value:
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


def _add(bound: Arguments) -> Value:
    x, y = bound.tensor("x"), bound.tensor("y")
    if x.constant is None and y.constant is None:
        return add(bound.scope, x, y, "AddV2")
    return binary(bound.scope, "ADD", x, y, "AddV2", commutes=True)


def _as_type(scope: Scope, value: Value, dtype: str, at: str) -> Value:
    assert value.constant is not None
    if dtype not in CONSTANT_TYPES:
        raise NotSupported(f"it computes with numbers of type {dtype}")
    return scope.constant(value.constant.array, f"{at}/y", dtype)


def _comparison(type_: str, at: str) -> Function:
    def emit(bound: Arguments) -> Value:
        x, y = bound.tensor("x"), bound.tensor("y")
        return bound.scope.op(type_, [x, y], broadcast(x.shape, y.shape), at, dtype="BOOL")

    return Function(("x", "y"), emit)


def _where(bound: Arguments) -> Value:
    condition, x, y = bound.tensor("condition"), bound.tensor("x"), bound.tensor("y")
    if condition.dtype != "BOOL":
        raise NotSupported("its condition is no comparison")
    shape = broadcast(condition.shape, x.shape, y.shape)
    return bound.scope.op("SELECT_V2", [condition, x, y], shape, "SelectV2", dtype=x.dtype)


def _stack(bound: Arguments) -> Value:
    values, axis = bound.tensors("values"), bound.whole("axis", default=0)
    shape = list(shape_of(values[0]))
    if any(value.shape != values[0].shape for value in values):
        raise NotSupported("its inputs have different shapes")
    shape.insert(axis_of(axis, len(shape) + 1), len(values))
    packing = {"values_count": len(values), "axis": axis}
    return bound.scope.op("PACK", list(values), tuple(shape), "stack", packing, values[0].dtype)


def _unary(type_: str, at: str) -> Function:
    return Function(("x",), lambda bound: unary(bound.scope, type_, bound.tensor("x", "features"), at))


def _activation(name: str) -> Function:
    return Function(("x",), lambda b: named_activation(b.scope, b.tensor("x", "features", "logits"), name))


def _reduction(type_: str, at: str, as_list: bool = True) -> Function:
    def emit(bound: Arguments) -> Value:
        axis = bound.given("axis")
        # Operations of Keras 3 keep one axis as a list.
        alone = isinstance(axis, int) and not (bound.scope.is_keras_3 and as_list)
        axis = axis if axis is None or alone else bound.wholes("axis")
        return reduce(bound.scope, bound.tensor("x"), type_, axis, bound.flag("keepdims", "keep_dims"), at)

    return Function(("x", "axis", "keepdims"), emit)


def _softmax(bound: Arguments) -> Value:
    return softmax(bound.scope, bound.tensor("x", "logits"), bound.wholes("axis", default=-1))


def _log_softmax(bound: Arguments) -> Value:
    return log_softmax(bound.scope, bound.tensor("x", "logits"), bound.whole("axis", default=-1))


def _clip(bound: Arguments) -> Value:
    low, high = bound.real("low", "clip_value_min", "x_min"), bound.real("high", "clip_value_max", "x_max")
    return clip(bound.scope, bound.tensor("x"), low, high, "clip_by_value")


def _backend_relu(bound: Arguments) -> Value:
    options = {n: bound.given(n) for n in ("max_value", "threshold")}
    return relu_layer(bound.scope, bound.tensor("x"), Options({**options, "negative_slope": bound.given("alpha")}))


def _silu(bound: Arguments) -> Value:
    """x * sigmoid(beta * x)."""
    x, beta = bound.tensor("x", "features"), bound.real("beta", default=1.0)
    if beta == 1:
        return named_activation(bound.scope, x, "swish")
    scaled = bound.scope.op("MUL", [x, bound.scope.constant(beta, "mul/y")], x.shape, "mul", dict(_NONE))
    gate = unary(bound.scope, "LOGISTIC", scaled, "Sigmoid")
    return bound.scope.op("MUL", [x, gate], x.shape, "mul_1", dict(_NONE))


def _elu(bound: Arguments) -> Value:
    return elu_layer(bound.scope, bound.tensor("x"), Options({"alpha": bound.given("alpha")}))


def _gelu(bound: Arguments) -> Value:
    approximate = bound.flag("approximate", default=bound.scope.is_keras_3)
    return gelu(bound.scope, bound.tensor("x", "features"), approximate)


def _leaky_relu(bound: Arguments) -> Value:
    return leaky_relu(bound.scope, bound.tensor("x", "features"), bound.real("alpha", "negative_slope", default=0.2))


def _l2_normalize(bound: Arguments) -> Value:
    return l2_normalize(bound.scope, bound.tensor("x"), bound.wholes("axis", "dim"))


def _blocks(type_: str, at: str) -> Function:
    def emit(bound: Arguments) -> Value:
        x, block = bound.tensor("x"), bound.whole("block_size", least=1)
        batch, height, width, channels = shape_of(x, 4)
        if bound.given("data_format") not in (None, "NHWC", "channels_last"):
            raise NotSupported("its data_format is not NHWC")
        if type_ == "DEPTH_TO_SPACE":
            grow: tuple[Callable[[int], int], Callable[[int], int]] = (lambda n: n * block, lambda n: n // block**2)
        else:
            grow = (lambda n: n // block, lambda n: n * block**2)
        sides = [None if n is None else grow[0](n) for n in (height, width)]
        shape = (batch, *sides, None if channels is None else grow[1](channels))
        return bound.scope.op(type_, [x], shape, at, {"block_size": block})

    return Function(("x", "block_size", "data_format"), emit)


def _pad(bound: Arguments) -> Value:
    mode = bound.word("mode", default="constant").upper()
    if mode not in ("CONSTANT", "REFLECT", "SYMMETRIC") or bound.real("constant_values", default=0.0):
        raise NotSupported("it pads with something else than zeros or the map mirrored")
    x = bound.tensor("x")
    pairs = bound.pairs("paddings", "pad_width", count=len(shape_of(x)))
    return pad(bound.scope, x, pairs, "Pad") if mode == "CONSTANT" else mirror(bound.scope, x, pairs, mode)


def _split(bound: Arguments) -> list[Value]:
    x, axis = bound.tensor("x"), bound.whole("axis", default=0)
    parts = bound.given("parts", "num_or_size_splits", "indices_or_sections")
    shape = list(shape_of(x))
    place = axis_of(axis, len(shape))
    size = shape[place]
    if isinstance(parts, (list, tuple)) and size is not None:
        return _split_at(bound, x, axis, size)
    if not isinstance(parts, int) or size is None or not 0 < parts <= size or size % parts:
        raise NotSupported("it splits into parts of different sizes")
    shape[place] = size // parts
    inputs = [bound.scope.integers(axis, "split/split_dim"), x]
    return bound.scope.ops("SPLIT", inputs, [tuple(shape)] * parts, "split", {"num_splits": parts})


def _split_at(bound: Arguments, x: Value, axis: int, size: int) -> list[Value]:
    """A SPLIT_V into parts of these sizes; Keras 3 says where they end."""
    numbers = bound.wholes("parts", "num_or_size_splits", "indices_or_sections", least=0)
    if bound.scope.is_keras_3:
        ends = [*numbers, size]
        numbers = [end - start for start, end in zip([0, *numbers], ends, strict=False)]
    if sum(numbers) != size or min(numbers) < 0:
        raise NotSupported("it splits into parts that do not fit")
    shape, place = shape_of(x), axis_of(axis, len(shape_of(x)))
    shapes = [(*shape[:place], n, *shape[place + 1 :]) for n in numbers]
    at = "split"
    inputs = [x, bound.scope.integers(numbers, "concat"), bound.scope.integers(axis, f"{at}/split_dim")]
    return bound.scope.ops("SPLIT_V", inputs, shapes, at, {"num_splits": len(numbers)}, x.dtype)


def _concat(bound: Arguments) -> Value:
    return concatenate(bound.scope, bound.tensors("values", "xs"), bound.whole("axis", default=0))


def _reshape(bound: Arguments) -> Value:
    x = bound.tensor("x")
    target = bound.given("shape", "newshape")
    if not isinstance(target, (list, tuple)):
        raise NotSupported("its new shape is computed at run time")
    known = all(n is None or isinstance(n, int) for n in target)
    target = [n if isinstance(n, Value) else -1 if n is None and known else whole(n, "shape", -1) for n in target]
    if known:
        return reshape_to(bound.scope, x, target, "Reshape")
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


def _transpose(bound: Arguments) -> Value:
    x = bound.tensor("x")
    order = bound.wholes("perm", "axes", default=list(range(len(shape_of(x))))[::-1])
    return transpose_by(bound.scope, x, order, "transpose")


def _expand(bound: Arguments) -> Value:
    x, axes = bound.tensor("x"), bound.wholes("axis")
    rank = len(shape_of(x)) + len(axes)
    for axis in sorted(axis_of(n, rank) for n in axes) if len(axes) > 1 else axes:
        x = expand_axis(bound.scope, x, axis, "ExpandDims")
    return x


def _squeeze(bound: Arguments) -> Value:
    x = bound.tensor("x")
    shape = shape_of(x)
    axes = sorted({axis_of(a, len(shape)) for a in bound.wholes("axis", default=[])})
    if not axes or any(shape[a] != 1 for a in axes):
        raise NotSupported("it drops axes whose size is not known to be 1")
    return squeeze_axes(bound.scope, x, axes, "Squeeze")


_CAST_FROM = ("BOOL", "FLOAT16", "FLOAT32", "FLOAT64", "INT32", "INT64", "UINT8")


def _cast(bound: Arguments) -> Value:
    x, to = bound.tensor("x"), bound.word("dtype", default="float32")
    if to.split(".")[-1].strip("'<>").lower() not in ("float32", "float") or x.dtype not in _CAST_FROM:
        raise NotSupported(f"it casts to {to}")
    if x.dtype == "FLOAT32":
        return x
    return bound.scope.op("CAST", [x], x.shape, "Cast", {"in_data_type": x.dtype, "out_data_type": "FLOAT32"})


def _argmax(bound: Arguments) -> Value:
    x, axis = bound.tensor("x"), bound.whole("axis", default=0)
    shape = shape_of(x)
    out = tuple(n for d, n in enumerate(shape) if d != axis_of(axis, len(shape)))
    where = bound.scope.integers(axis, "ArgMax/dimension")
    return bound.scope.op("ARG_MAX", [x, where], out, "ArgMax", {"output_type": "INT64"}, "INT64")


def _identity(bound: Arguments) -> Value:
    return bound.tensor("x")


def _shape(bound: Arguments) -> Value:
    x = bound.tensor("x")
    return bound.scope.op("SHAPE", [x], (len(shape_of(x)),), "Shape", {"out_type": "INT32"}, "INT32")


def _resize(bound: Arguments) -> Value:
    if any(bound.flag(n) for n in ("preserve_aspect_ratio", "antialias", "crop_to_aspect_ratio")):
        raise NotSupported("it resizes with options that are not known here")
    method = bound.word("method", "interpolation", default="bilinear").lower()
    return resize(bound.scope, bound.tensor("x"), bound.wholes("size", count=2, least=1), method)


def _power(bound: Arguments) -> Value:
    x, exponent = bound.tensor("x"), bound.tensor("y")
    known = exponent.constant.scalar if exponent.constant is not None and exponent.shape == () else None
    if known == 2:
        return bound.scope.op("MUL", [x, x], x.shape, "Pow", dict(_NONE))
    if known in (0.5, -0.5):
        return unary(bound.scope, "SQRT" if known > 0 else "RSQRT", x, "Pow")
    return x if known == 1 else binary(bound.scope, "POW", x, exponent, "Pow")


def _getitem(bound: Arguments) -> Value:
    """x[...] with whole numbers, slices and an ellipsis."""
    x, spec = bound.tensor("x"), bound.given("spec", "slice_spec", "key")
    items = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    items = [_as_slice(item) for item in items]
    shape = shape_of(x)
    if Ellipsis in items:
        place = items.index(Ellipsis)
        items[place : place + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    items += [slice(None)] * (len(shape) - len(items))
    if len(items) != len(shape):
        raise NotSupported("it takes other parts of a tensor than slices")
    begin, end, steps, out = [], [], [], []
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    for d, (item, size) in enumerate(zip(items, shape, strict=True)):
        # Without a slice it is one number; None there is a new axis.
        ends = (item.start, item.stop) if isinstance(item, slice) else (item, item)
        first, last = ends
        whole = all(isinstance(one, int) or (one is None and isinstance(item, slice)) for one in ends)
        step = item.step if isinstance(item, slice) and item.step is not None else 1
        if not whole or not isinstance(step, int) or not step:
            raise NotSupported("it takes other parts of a tensor than slices")
        steps.append(step)
        if not isinstance(item, slice):
            masks["shrink_axis_mask"] |= 1 << d
            begin.append(first)
            end.append(first + 1)
            continue
        masks["begin_mask"] |= (first is None) << d
        masks["end_mask"] |= (last is None) << d
        begin.append(first or 0)
        end.append(last or 0)
        out.append(None if size is None else len(range(size)[item]))
    cut = (begin, ""), (end, "_1"), (steps, "_2")
    stacks = [bound.scope.integers(numbers, f"strided_slice/stack{suffix}") for numbers, suffix in cut]
    return bound.scope.op("STRIDED_SLICE", [x, *stacks], tuple(out), "strided_slice", masks, x.dtype)


def _as_slice(item: Any) -> Any:
    """Keras 2 stores slices as dicts."""
    if isinstance(item, dict) and set(item) == {"start", "stop", "step"}:
        return slice(item["start"], item["stop"], item["step"])
    return item


TF_FUNCTIONS: dict[str, Function] = {}
KERAS3_OPERATIONS: dict[str, Function] = {}


def named(function: Function, tf: str = "", keras: str = "") -> None:
    """Says what a function is called.

    Args:
        tf: names in Keras 2: what a TFOpLambda has as its function.
        keras: names in Keras 3: classes of operations.
    """
    TF_FUNCTIONS.update(dict.fromkeys(tf.split(), function))
    KERAS3_OPERATIONS.update(dict.fromkeys(keras.split(), function))


named(_binary("ADD", "AddV2", commutes=True), tf="__operators__.add math.add")
named(Function(("x", "y"), _add), keras="Add")
named(_binary("MUL", "Mul", commutes=True), tf="math.multiply __operators__.mul __operators__.rmul", keras="Multiply")
named(_binary("SUB", "Sub"), tf="math.subtract __operators__.sub", keras="Subtract")
named(_binary("DIV", "truediv"), tf="math.truediv __operators__.truediv math.divide", keras="TrueDivide Divide")
named(_binary("ADD", "AddV2", True, swap=True), tf="__operators__.radd")
named(_binary("SUB", "Sub", swap=True), tf="__operators__.rsub")
named(_binary("DIV", "truediv", swap=True), tf="__operators__.rtruediv")
named(_binary("MAXIMUM", "Maximum", commutes=True), tf="math.maximum", keras="Maximum")
named(_binary("MINIMUM", "Minimum", commutes=True), tf="math.minimum", keras="Minimum")
named(_binary("FLOOR_DIV", "floordiv"), tf="math.floordiv __operators__.floordiv", keras="FloorDivide")
named(_binary("FLOOR_MOD", "FloorMod"), tf="math.floormod math.mod __operators__.mod", keras="Mod")
named(_binary("SQUARED_DIFFERENCE", "SquaredDifference", commutes=True), tf="math.squared_difference")
named(_comparison("EQUAL", "Equal"), tf="math.equal", keras="Equal")
named(_comparison("NOT_EQUAL", "NotEqual"), tf="math.not_equal", keras="NotEqual")
named(_comparison("GREATER", "Greater"), tf="math.greater __operators__.gt", keras="Greater")
named(_comparison("GREATER_EQUAL", "GreaterEqual"), tf="math.greater_equal __operators__.ge", keras="GreaterEqual")
named(_comparison("LESS", "Less"), tf="math.less __operators__.lt", keras="Less")
named(_comparison("LESS_EQUAL", "LessEqual"), tf="math.less_equal __operators__.le", keras="LessEqual")
named(Function(("condition", "x", "y"), _where), tf="where", keras="Where")
named(Function(("x", "axis"), _argmax), tf="math.argmax argmax")
named(Function(("values", "axis"), _stack), tf="stack", keras="Stack")
named(_unary("ABS", "Abs"), tf="math.abs", keras="Absolute Abs")
named(_unary("SQUARE", "Square"), tf="math.square", keras="Square")
named(_unary("SQRT", "Sqrt"), tf="math.sqrt", keras="Sqrt")
named(_unary("RSQRT", "Rsqrt"), tf="math.rsqrt", keras="Rsqrt")
named(_unary("EXP", "Exp"), tf="math.exp", keras="Exp")
named(_unary("LOG", "Log"), tf="math.log", keras="Log")
named(_unary("NEG", "Neg"), tf="math.negative __operators__.neg", keras="Negative")
named(_unary("SIN", "Sin"), tf="math.sin", keras="Sin")
named(_unary("COS", "Cos"), tf="math.cos", keras="Cos")
named(_unary("FLOOR", "Floor"), tf="math.floor", keras="Floor")
named(_unary("CEIL", "Ceil"), tf="math.ceil", keras="Ceil")
named(_unary("ROUND", "Round"), tf="math.round", keras="Round")
named(_unary("SIGN", "Sign"), tf="math.sign", keras="Sign")
named(Function(("x", "y"), _power), tf="math.pow __operators__.pow", keras="Power")
named(_reduction("MEAN", "Mean"), tf="math.reduce_mean", keras="Mean")
named(_reduction("SUM", "Sum"), tf="math.reduce_sum", keras="Sum")
named(_reduction("REDUCE_MAX", "Max"), tf="math.reduce_max", keras="Max")
named(_reduction("REDUCE_MIN", "Min"), tf="math.reduce_min", keras="Min")
named(_reduction("REDUCE_MAX", "Max", as_list=False), keras="Amax")
named(_reduction("REDUCE_MIN", "Min", as_list=False), keras="Amin")
named(_reduction("REDUCE_PROD", "Prod"), tf="math.reduce_prod", keras="Prod")
named(_activation("sigmoid"), tf="math.sigmoid nn.sigmoid keras.activations.sigmoid", keras="Sigmoid")
named(_activation("tanh"), tf="math.tanh nn.tanh keras.activations.tanh", keras="Tanh")
named(_activation("softplus"), tf="math.softplus nn.softplus", keras="Softplus")
named(_activation("relu"), tf="nn.relu", keras="Relu")
named(_activation("relu6"), tf="nn.relu6", keras="Relu6")
named(_activation("elu"), tf="nn.elu")
named(_activation("selu"), tf="nn.selu", keras="Selu")
named(_activation("softsign"), tf="nn.softsign", keras="Softsign")
named(Function(("x", "beta"), _silu), tf="nn.silu nn.swish")
named(Function(("x", "alpha"), _leaky_relu), tf="nn.leaky_relu", keras="LeakyRelu")
named(Function(("x", "approximate"), _gelu), tf="nn.gelu", keras="Gelu")
named(Function(("x", "axis"), _softmax), tf="nn.softmax", keras="Softmax")
named(Function(("x", "axis"), _log_softmax), tf="nn.log_softmax", keras="LogSoftmax")
named(Function(("x",), _backend_relu), tf="keras.backend.relu")
named(Function(("x", "alpha", "max_value", "threshold"), _backend_relu), tf="keras.activations.relu")
named(_activation("swish"), tf="keras.activations.swish", keras="Silu")
named(_activation("hard_sigmoid"), tf="keras.activations.hard_sigmoid", keras="HardSigmoid")
named(Function(("x", "axis"), _l2_normalize), tf="math.l2_normalize nn.l2_normalize")
named(Function(("x", "low", "high"), _clip), tf="clip_by_value", keras="Clip")
named(Function(("x",), lambda b: clip(b.scope, b.tensor("x"), -1.0, 1.0, "clip_by_value")), keras="HardTanh")
named(Function(("values", "axis"), _concat), tf="concat", keras="Concatenate")
named(Function(("x", "parts", "axis"), _split), tf="split", keras="Split")
named(Function(("x", "shape"), _reshape), tf="reshape", keras="Reshape")
named(Function(("x", "perm"), _transpose), tf="transpose compat.v1.transpose", keras="Transpose")
named(Function(("x", "axis"), _expand), tf="expand_dims", keras="ExpandDims")
named(Function(("x", "axis"), _squeeze), tf="squeeze compat.v1.squeeze", keras="Squeeze")
named(Function(("x", "dtype"), _cast), tf="cast", keras="Cast")
named(Function(("x", "paddings", "mode"), _pad), tf="pad compat.v1.pad", keras="Pad")
named(Function(("x",), _identity), tf="identity stop_gradient convert_to_tensor", keras="Identity StopGradient")
named(Function(("x",), _shape), tf="shape compat.v1.shape")
named(_blocks("DEPTH_TO_SPACE", "DepthToSpace"), tf="nn.depth_to_space compat.v1.depth_to_space", keras="DepthToSpace")
named(_blocks("SPACE_TO_DEPTH", "SpaceToDepth"), tf="nn.space_to_depth compat.v1.space_to_depth", keras="SpaceToDepth")
named(Function(("x", "size", "method"), _resize), tf="image.resize", keras="Resize")
named(Function(("x", "spec"), _getitem), tf="__operators__.getitem", keras="GetItem")
named(_activation("hard_silu"), keras="HardSilu")
named(Function(("x", "alpha"), _elu), keras="Elu")

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
        NotSupported: it is called in a way that is not known here.
    """
    values = dict(zip(function.parameters, args, strict=False))
    for name, others in _ALIASES.items():
        for other in others:
            if name in function.parameters and values.get(name) is None and kwargs.get(other) is not None:
                values[name] = kwargs[other]
    values |= {name: value for name, value in kwargs.items() if value is not None}
    return function.emit(Arguments(scope, values))
