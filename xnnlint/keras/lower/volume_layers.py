"""Layers on volumes, with three axes between batch and channels."""

from __future__ import annotations

from typing import Any

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.activations import activate
from xnnlint.keras.lower.layer_scope import Scope, channels_last, is_same, shape_of
from xnnlint.keras.lower.program import Value, window
from xnnlint.keras.lower.registry import layer
from xnnlint.keras.lower.shape_layers import repeat
from xnnlint.keras.lower.weighted_layers import add_bias

_PLAIN = {"fused_activation_function": "NONE"}
_SIDES = ("d", "h", "w")


@layer("Conv3D", "Convolution3D")
def conv_3d(scope: Scope, x: Value) -> Value:
    """Conv3D: a CONV_3D without bias; the converter fuses nothing into it."""
    config = scope.config
    channels_last(config)
    shape = shape_of(x, 5)
    filters, groups = config.whole("filters", least=0), config.whole("groups", default=1, least=1)
    size, stride, dilation = (
        config.wholes(name, default=default, count=3, least=1)
        for name, default in (("kernel_size", None), ("strides", 1), ("dilation_rate", 1))
    )
    if groups != 1 or dilation != [1, 1, 1]:
        raise NotSupported("it is dilated or has groups")
    at = "convolution" if scope.is_keras_3 else "Conv3D"
    kernel = scope.weight("kernel", (*size, shape[4], filters), f"{at}/ReadVariableOp", default=1.0)
    same = is_same(config)
    attributes: dict[str, Any] = {"padding": "SAME" if same else "VALID", **_PLAIN}
    for side, step in zip(_SIDES, stride, strict=True):
        attributes |= {f"stride_{side}": step, f"dilation_{side}_factor": 1}
    sides = (window(n, k, s, same) for n, k, s in zip(shape[1:4], size, stride, strict=True))
    y = scope.op("CONV_3D", [x, kernel, None], (shape[0], *sides, filters), at, attributes)
    return activate(scope, add_bias(scope, y, filters), config.given("activation"))


@layer("MaxPooling3D", "MaxPool3D", "AveragePooling3D", "AvgPool3D")
def pool_3d(scope: Scope, x: Value) -> Value:
    """Pooling in three dimensions: the converter makes nothing of a model with it."""
    raise NotSupported("TFLite has no operator for it, and the converter refuses the model without TensorFlow's own")


@layer("UpSampling3D")
def up_sampling_3d(scope: Scope, x: Value) -> Value:
    """UpSampling3D: every axis after the other."""
    channels_last(scope.config)
    shape_of(x, 5)
    for axis, factor in enumerate(scope.config.wholes("size", default=2, count=3, least=1), 1):
        x = repeat(scope, x, factor, axis)
    return x
