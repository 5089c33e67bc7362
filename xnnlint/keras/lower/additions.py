"""What an addition becomes: Keras 3 takes its second operand for a bias wherever that could be one.

Source: `add` of keras-team/keras src/backend/tensorflow/numpy.py, keras 3.15.
"""

from __future__ import annotations

from xnnlint.errors import NotSupported
from xnnlint.keras.lower.layer_scope import Scope
from xnnlint.keras.lower.program import Value, broadcast
from xnnlint.keras.lower.shape_layers import squeeze_axes

_PLAIN = {"fused_activation_function": "NONE"}


def add(scope: Scope, x: Value, other: Value, at: str = "Add") -> Value:
    """x + other.

    Raises:
        NotSupported: Keras 3 adds it as a bias along the second axis, around which the converter transposes.
    """
    size = _bias_size(x, other) if scope.is_keras_3 else None
    if size is None or other.shape is None or x.shape is None:
        return scope.op("ADD", [x, other], broadcast(x.shape, other.shape), at, dict(_PLAIN), x.dtype)
    if size != x.shape[-1]:
        raise NotSupported("it adds a vector along the second axis")
    if len(other.shape) > 1:
        other = squeeze_axes(scope, other, [d for d, n in enumerate(other.shape) if n == 1], "Squeeze")
    return add_vector(scope, x, other)


def add_vector(scope: Scope, x: Value, vector: Value) -> Value:
    """x + a vector along the last axis."""
    return scope.op("ADD", [x, vector], x.shape, "BiasAdd", dict(_PLAIN), x.dtype)


def _bias_size(x: Value, other: Value) -> int | None:
    """How long a vector Keras 3 takes the second operand for."""
    if x.shape is None or other.shape is None or len(x.shape) < 2:
        return None
    large = [size for size in other.shape if size != 1]
    return large[0] if len(large) == 1 and large[0] in (x.shape[1], x.shape[-1]) else None
