"""The policy's list: which layers TFMOT's `PruneForLatencyOnXNNPack` supports, and with which settings.

From tensorflow/model-optimization, sparsity/keras/pruning_policy.py (6fbc2ce), `allow_pruning`, `_start_layer_stop_fn`
and `_check_layer_support`. Classes are those of tf_keras with what is derived from them, since the policy uses
isinstance; each entry is checked against tf_keras itself in tests/keras/test_policy.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from xnnlint.keras.description import Layer

POOLING = "GlobalAveragePooling2D"
CONVOLUTIONS = ("Conv2D", "Conv2DTranspose")
DROPOUTS = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
ALWAYS = ("Add", "Multiply", "ZeroPadding2D", "ReLU", "LeakyReLU", "ELU", *DROPOUTS)
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "sigmoid")
FUNCTIONS = ("identity", "add", "subtract", "multiply")
# Operators written between tensors: these two are what `+` becomes.
_ADD = ("__operators__.add",)
CHANNEL_AXIS = 3
_RANK = 4

_ALIASES = {
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "GlobalAvgPool2D": POOLING,
    "BatchNormalizationV2": "BatchNormalization",
}


class Unmet(Struct, frozen=True):
    """What the policy demands of a layer and what the layer has."""

    required: str
    actual: str


def class_of(layer: Layer) -> str:
    """The class by which the policy's isinstance sees a layer; "" for custom ones, of which only the name is known."""
    if layer.is_operation or ">" in layer.class_name or (layer.opaque and layer.opaque.startswith("custom")):
        return ""
    return _ALIASES.get(layer.class_name, layer.class_name)


def is_prunable(layer: Layer) -> bool:
    """`allow_pruning`: a 1x1 Conv2D; one that is wrapped already is no Conv2D any more."""
    return class_of(layer) in CONVOLUTIONS and not layer.pruning and _pair(layer, "kernel_size") == (1, 1)


def is_padding_by_one(layer: Layer | None) -> bool:
    return _padding_of(layer) == ((1, 1), (1, 1))


def stem_shortcomings(layer: Layer, feeding: Layer | None, channels: int | None) -> Unmet | None:
    """What keeps a Conv2D from being a start (`_start_layer_stop_fn`).

    Args:
        feeding: the layer before it, where there is just one.
        channels: of its input, for a file without weights; None where unknown, then taken for 3.
    """
    kernel, strides = _pair(layer, "kernel_size"), _pair(layer, "strides")
    shape = _kernel_shape(layer, kernel, channels)
    return _missing(
        (shape == (3, 3, 3), "a 3x3 kernel over 3 channels", _times(shape)),
        (strides == (2, 2), "strides=2", f"strides={_times(strides)}"),
        (_padding(layer) == "valid", "padding='valid'", f"padding={_padding(layer)!r}"),
        (is_padding_by_one(feeding), "ZeroPadding2D(1) before it", _before(feeding)),
    )


def unmet_of_layer(layer: Layer, feeding: Layer | None) -> Unmet | None:
    """What the policy's list demands of a layer that does not fulfil it; None where it is supported.

    Args:
        feeding: the layer before it, where there is just one.
    """
    if layer.is_operation:
        # In tf_keras, the same expression makes a TFOpLambda.
        known = layer.class_name.lower() in FUNCTIONS
        return None if known else Unmet(f"one of {', '.join(FUNCTIONS)}", layer.class_name)
    kind = class_of(layer)
    if kind in ALWAYS:
        return None
    check = _CHECKS.get(kind)
    if check is None:
        return Unmet("a layer on the policy's list", f"{layer.class_name.split('>')[-1]}, which is not on it")
    return check(layer, feeding)


# --- settings --------------------------------------------------------------------------------------------------------


def _depthwise(layer: Layer, feeding: Layer | None) -> Unmet | None:
    kernel, strides = _pair(layer, "kernel_size"), _pair(layer, "strides")
    square = kernel in ((3, 3), (5, 5))
    margin = kernel[0] // 2
    padded = _padding_of(feeding) == ((margin, margin), (margin, margin))
    required_pad = f"ZeroPadding2D({margin}) before it"
    placed: Iterable[tuple[bool, str, str]]
    if _padding(layer) == "same":
        after = f"strides=1 with padding='same' (or padding='valid' and {required_pad})"
        placed = [(strides == (1, 1), after, f"strides={_times(strides)} with padding='same'")]
    else:
        both = f"{required_pad}, or padding='same'" if strides == (1, 1) else required_pad
        placed = [
            (strides in ((1, 1), (2, 2)), "strides of 1 or 2", f"strides={_times(strides)}"),
            (padded, both, _before(feeding)),
        ]
    return _missing(
        (square, "a 3x3 or 5x5 kernel", _times(kernel)),
        *(placed if square else ()),
        (layer.config.get("depth_multiplier", 1) == 1, "depth_multiplier=1", _setting(layer, "depth_multiplier")),
        (_pair(layer, "dilation_rate") == (1, 1), "no dilation", _setting(layer, "dilation_rate")),
    )


def _convolution(layer: Layer, feeding: Layer | None) -> Unmet | None:
    kernel, strides = _pair(layer, "kernel_size"), _pair(layer, "strides")
    return _missing(
        (kernel == (1, 1), "a 1x1 kernel", _times(kernel)),
        (strides == (1, 1), "strides=1", f"strides={_times(strides)}"),
        (layer.config.get("groups", 1) == 1, "groups=1", _setting(layer, "groups")),
        (_pair(layer, "dilation_rate") == (1, 1), "no dilation", _setting(layer, "dilation_rate")),
    )


def _pooling(layer: Layer, feeding: Layer | None) -> Unmet | None:
    keeps = bool(layer.config.get("keepdims", False))
    return _missing((keeps, "keepdims=True of a pooling that is not the last", "keepdims=False"))


def _batch_normalization(layer: Layer, feeding: Layer | None) -> Unmet | None:
    axes = layer.config.get("axis", -1)
    listed = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    rank = len(layer.build_shape) if layer.build_shape else _RANK
    counted = [axis + rank if isinstance(axis, int) and axis < 0 else axis for axis in listed]
    return _missing((counted == [CHANNEL_AXIS], f"axis={CHANNEL_AXIS}", f"axis={', '.join(map(str, counted))}"))


def _upsampling(layer: Layer, feeding: Layer | None) -> Unmet | None:
    chosen = layer.config.get("interpolation", "nearest")
    return _missing((chosen == "bilinear", "interpolation='bilinear'", f"interpolation={chosen!r}"))


def _activation(layer: Layer, feeding: Layer | None) -> Unmet | None:
    name = activation_name(layer.config.get("activation"))
    return _missing((name in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}", name))


def _function(layer: Layer, feeding: Layer | None) -> Unmet | None:
    symbol = str(layer.config.get("function", ""))
    # Whatever the module: the policy compares the function's own name.
    known = symbol in _ADD or symbol.split(".")[-1] in FUNCTIONS
    return _missing((known, f"one of the functions {', '.join(FUNCTIONS)}", symbol))


_CHECKS = {
    "DepthwiseConv2D": _depthwise,
    "Conv2D": _convolution,
    "Conv2DTranspose": _convolution,
    POOLING: _pooling,
    "BatchNormalization": _batch_normalization,
    "UpSampling2D": _upsampling,
    "Activation": _activation,
    "TFOpLambda": _function,
}


# --- values ----------------------------------------------------------------------------------------------------------


def activation_name(value: Any) -> str:
    """The name of a function as `keras.activations.serialize` gives it; of a layer given as one, its class in <>."""
    if isinstance(value, dict):
        inner = value.get("config")
        # A function by name, or a whole layer given as an activation.
        return inner if isinstance(inner, str) else f"<{value.get('class_name', 'unknown')}>"
    return "linear" if value is None else str(value)


def _missing(*conditions: tuple[bool, str, str]) -> Unmet | None:
    unmet = [(required, actual) for holds, required, actual in conditions if not holds]
    if not unmet:
        return None
    return Unmet("; ".join(required for required, _ in unmet), "; ".join(actual for _, actual in unmet))


def _pair(layer: Layer, key: str) -> tuple[int, ...]:
    """A setting of height and width; Keras takes one number for both, and 1 where nothing is said."""
    value = layer.config.get(key, 1)
    sizes = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    # A damaged file may hold anything here.
    return tuple(size if isinstance(size, int) else 0 for size in sizes) or (0, 0)


def _padding(layer: Layer) -> str:
    return str(layer.config.get("padding", "valid")).lower()


def _padding_of(layer: Layer | None) -> tuple[Any, ...] | None:
    """((top, bottom), (left, right)) of a ZeroPadding2D, None for other layers."""
    if layer is None or class_of(layer) != "ZeroPadding2D" or layer.pruning:
        return None
    value = layer.config.get("padding", 1)
    pairs = value if isinstance(value, (list, tuple)) else (value, value)
    return tuple(tuple(p) if isinstance(p, (list, tuple)) else (p, p) for p in pairs)


def _kernel_shape(layer: Layer, size: tuple[int, ...], channels: int | None) -> tuple[int, ...]:
    if "kernel" in layer.weights:
        return tuple(layer.weights["kernel"]().shape[:3])
    if class_of(layer) == "Conv2DTranspose":
        return (*size, layer.config.get("filters", 0))
    groups = layer.config.get("groups", 1)
    known = isinstance(channels, int) and isinstance(groups, int) and groups > 0
    return (*size, channels // groups if known else 3)


def _before(feeding: Layer | None) -> str:
    padding = _padding_of(feeding)
    if feeding is None:
        return "no single layer before it"
    if padding is None:
        wrapped = " in PruneLowMagnitude" if feeding.pruning else ""
        return f"{feeding.class_name.split('>')[-1]}{wrapped} before it"
    return f"ZeroPadding2D({_short(padding)}) before it"


def _short(padding: tuple[Any, ...]) -> str:
    sides = [side for pair in padding for side in pair]
    alike = bool(sides) and all(side == sides[0] for side in sides)
    return str(sides[0]) if alike else str(padding).replace(" ", "")


def _times(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def _setting(layer: Layer, key: str) -> str:
    value = layer.config.get(key)
    return f"{key}={_times(value) if isinstance(value, (list, tuple)) else value}"
