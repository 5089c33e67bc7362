"""Which layer becomes what: the table of classes, and how a call's arguments reach it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xnnlint.keras.lower import shape_layers as shapes
from xnnlint.keras.lower import weighted_layers as weighted
from xnnlint.keras.lower.activations import ACTIVATION_LAYERS
from xnnlint.keras.lower.functions import KERAS3_OPERATIONS, TF_FUNCTIONS, call_function
from xnnlint.keras.lower.layer_scope import Scope, Unsupported
from xnnlint.keras.lower.program import Value

_ONE_INPUT: dict[str, Callable[[Scope, Value], Value]] = {
    "Conv2D": weighted.conv_2d, "Convolution2D": weighted.conv_2d,
    "DepthwiseConv2D": weighted.depthwise_conv_2d,
    "SeparableConv2D": weighted.separable_conv_2d, "SeparableConvolution2D": weighted.separable_conv_2d,
    "Conv1D": weighted.conv_1d, "Convolution1D": weighted.conv_1d,
    "Conv2DTranspose": weighted.conv_2d_transpose, "Convolution2DTranspose": weighted.conv_2d_transpose,
    "Dense": weighted.dense,
    "BatchNormalization": weighted.batch_normalization, "BatchNormalizationV1": weighted.batch_normalization,
    "BatchNormalizationV2": weighted.batch_normalization, "SyncBatchNormalization": weighted.batch_normalization,
    "LayerNormalization": weighted.layer_normalization,
    "LayerScale": weighted.layer_scale,
    "Rescaling": weighted.rescaling, "Normalization": weighted.normalization,
    "Reshape": shapes.reshape, "Flatten": shapes.flatten, "Permute": shapes.permute,
    "ZeroPadding1D": shapes.zero_padding, "ZeroPadding2D": shapes.zero_padding,
    "Cropping1D": shapes.cropping, "Cropping2D": shapes.cropping,
    "UpSampling2D": shapes.up_sampling, "Resizing": shapes.resizing,
}  # fmt: skip
for _name in ("Max", "Average", "Avg"):
    for _kind in ("Pooling", "Pool"):
        _ONE_INPUT |= dict.fromkeys((f"{_name}{_kind}{n}D" for n in (1, 2)), shapes.pool)
        _ONE_INPUT |= dict.fromkeys((f"Global{_name}{_kind}{n}D" for n in (1, 2, 3)), shapes.global_pool)

# What inference leaves out.
_TRANSPARENT = frozenset(
    [
        "ActivityRegularization",
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "RandomBrightness",
        "RandomContrast",
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomHeight",
        "RandomWidth",
    ]
)

_MERGES = {
    "Add": ("ADD", "add"),
    "Subtract": ("SUB", "sub"),
    "Multiply": ("MUL", "mul"),
    "Average": ("ADD", "add"),
    "Maximum": ("MAXIMUM", "Maximum"),
    "Minimum": ("MINIMUM", "Minimum"),
}


def lower_call(scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> list[Value]:
    """Adds the operators of one call of a layer.

    Args:
        args, kwargs: of the call, with values where the config has tensors.

    Returns:
        The layer's outputs.

    Raises:
        Unsupported: it, or its use, is not known here.
    """
    try:
        result = _lower(scope, args, kwargs)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as fault:
        raise Unsupported(f"its config is not understood ({type(fault).__name__}: {fault})") from None
    return result if isinstance(result, list) else [result]


def _lower(scope: Scope, args: list[Any], kwargs: dict[str, Any]) -> Value | list[Value]:
    layer = scope.layer
    name = layer.class_name
    if layer.opaque:
        raise Unsupported(f"it is a {layer.opaque}")
    if name in ("TFOpLambda", "SlicingOpLambda"):
        function = TF_FUNCTIONS.get(str(layer.config.get("function")))
        if function is None:
            raise Unsupported(f"the function {layer.config.get('function')!r} is not known here")
        return call_function(scope, function, args, kwargs)
    if layer.is_operation:
        if name not in KERAS3_OPERATIONS:
            raise Unsupported(f"the operation {name} is not known here")
        ignored = ("name",) if name == "Cast" else ("name", "dtype")
        options = {k: v for k, v in layer.config.items() if k not in ignored}
        return call_function(scope, KERAS3_OPERATIONS[name], args, {**options, **kwargs})
    if scope.in_training(args, kwargs) and (name in _TRANSPARENT or name.startswith(("BatchNorm", "SyncBatchNorm"))):
        raise Unsupported("it is called with training=True")
    tensors = [_as_float(scope, x) for x in _tensors(args)]
    if name in _MERGES or name == "Concatenate":
        return _merge(scope, tensors)
    if len(tensors) != 1:
        raise Unsupported(f"it has {len(tensors)} inputs")
    if name in _TRANSPARENT:
        return tensors[0]
    if name in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[name](scope, tensors[0], layer.config)
    if name not in _ONE_INPUT:
        raise Unsupported(f"the lowering of {name} is not known here")
    return _ONE_INPUT[name](scope, tensors[0])


def _as_float(scope: Scope, x: Value) -> Value:
    """An input as layers compute with it: floating point numbers are cast by all (`autocast`), others by Rescaling."""
    if x.dtype == "FLOAT32" or x.shape is None:
        return x
    if x.dtype not in ("FLOAT16", "FLOAT64") and scope.layer.class_name != "Rescaling":
        raise Unsupported(f"its input is of type {x.dtype}")
    return scope.op("CAST", [x], x.shape, "Cast", {"in_data_type": x.dtype, "out_data_type": "FLOAT32"})


def _merge(scope: Scope, tensors: list[Value]) -> Value:
    name = scope.layer.class_name
    if name == "Concatenate":
        return shapes.concatenate(scope, tensors, int(scope.config.get("axis", -1)))
    type_, at = _MERGES[name]
    attributes = {"fused_activation_function": "NONE"} if type_ in ("ADD", "SUB", "MUL") else None
    y = shapes.merge(scope, tensors, type_, at, attributes)
    if name == "Average":
        count = scope.constant(float(len(tensors)), "truediv/y")
        return scope.op("DIV", [y, count], y.shape, "truediv", {"fused_activation_function": "NONE"})
    return y


def _tensors(args: list[Any]) -> list[Value]:
    """The tensors of the first argument."""
    found: list[Value] = []
    pending: list[Any] = [args[0]] if args else []
    while pending:
        item = pending.pop()
        if isinstance(item, Value):
            found.append(item)
        elif isinstance(item, dict):
            pending += list(item.values())[::-1]
        elif isinstance(item, (list, tuple)):
            pending += list(item)[::-1]
    return found
