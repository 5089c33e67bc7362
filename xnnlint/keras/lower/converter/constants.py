"""What the rewrites of the converter ask of constants, and make of them. See `rewrite` for the sources."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xnnlint.keras.lower.program import Constant, Value

BINARY = ("ADD", "SUB", "MUL", "DIV")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")


def make(constant: Constant, shape: tuple[int, ...]) -> Value:
    return Value(shape, "FLOAT32", constant)


def equals(constant: Constant | None, value: float) -> bool:
    """FloatValueEquals: every element is this number in single precision."""
    if constant is None or not constant.known:
        return False
    array = constant.array
    return array.size > 0 and array.dtype == np.float32 and bool((array == np.float32(value)).all())


def is_scalar(constant: Constant | None, value: float) -> bool:
    return equals(constant, value) and constant is not None and constant.array.shape == ()


def fits_channels(value: Value, channels: int) -> bool:
    """CanFuseConvOrDepthwiseConvShapes: a scalar, or one number for each output channel along the last axis."""
    shape = value.shape or ()
    return all(n == 1 for n in shape[:-1]) and (not shape or shape[-1] in (1, channels))


def flat(constant: Constant) -> Constant:
    return constant.derive("flat", lambda a: a.reshape(-1))


def combined(bias: Constant, type_: str, other: Constant) -> Constant:
    """A bias, and a number or vector that is added, subtracted, multiplied or divided."""
    operations: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide,
    }  # fmt: skip
    return bias.derive(type_, lambda a: operations[type_](a, other.array.reshape(-1)), [other])
