"""Layers that join several inputs, and those that inference leaves out."""

from __future__ import annotations

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.additions import add
from xnnlint.keras.lower.layer_scope import Scope
from xnnlint.keras.lower.program import Value
from xnnlint.keras.lower.registry import layer, merging_layer
from xnnlint.keras.lower.shape_layers import concatenate, merge

_NONE = {"fused_activation_function": "NONE"}
_MERGES = {
    "Add": ("ADD", "add"),
    "Subtract": ("SUB", "sub"),
    "Multiply": ("MUL", "mul"),
    "Average": ("ADD", "add"),
    "Maximum": ("MAXIMUM", "Maximum"),
    "Minimum": ("MINIMUM", "Minimum"),
}
_ONLY_IN_TRAINING = (
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
)


@merging_layer(*_MERGES)
def _elementwise(scope: Scope, tensors: list[Value]) -> Value:
    name = scope.layer.class_name
    type_, at = _MERGES[name]
    if scope.builder.channels_first and all(t.is_static and sum(n != 1 for n in t.shape or ()) <= 1 for t in tensors):
        raise NotSupported("it merges maps of one pixel in a model with channels_first, and a fixed batch")
    attributes = dict(_NONE) if type_ in ("ADD", "SUB", "MUL") else None
    y = _sum(scope, tensors) if type_ == "ADD" else merge(scope, tensors, type_, at, attributes)
    if name == "Average":
        count = scope.constant(float(len(tensors)), "truediv/y")
        return scope.op("DIV", [y, count], y.shape, "truediv", dict(_NONE))
    return y


def _sum(scope: Scope, tensors: list[Value]) -> Value:
    if len(tensors) < 2:
        raise NotSupported("it has one input")
    y = tensors[0]
    for other in tensors[1:]:
        y = add(scope, y, other, "add")
    return y


@merging_layer("Concatenate")
def _concatenate(scope: Scope, tensors: list[Value]) -> Value:
    if not tensors:
        raise NotSupported("it has no inputs")
    return concatenate(scope, tensors, scope.config.whole("axis", default=-1))


@layer(*_ONLY_IN_TRAINING, same_in_training=False)
def _left_out(scope: Scope, x: Value) -> Value:
    return x
