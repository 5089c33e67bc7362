"""Output shapes of Keras's own layers that are not lowered, so that what is behind them can be looked at all the same.

Source: keras-team/keras src/layers/rnn/*.py, src/layers/convolutional/base_conv_transpose.py `compute_output_shape`.
"""

from __future__ import annotations

from typing import Any

from xnnlint.keras.description import Layer
from xnnlint.keras.lower.program import Shape

LOOPS = ("GRU", "LSTM", "SimpleRNN")


def is_loop(layer: Layer) -> bool:
    """Whether the converter makes a loop of a layer."""
    return layer.class_name in LOOPS or (layer.class_name == "Bidirectional" and _inner(layer)[0] in LOOPS)


def known_shape(layer: Layer, inputs: list[Shape | None]) -> Shape | None:
    """The shape of a layer's only output; None where it is not known, or there are several."""
    shape = inputs[0] if inputs else None
    if shape is None:
        return None
    if layer.class_name in LOOPS:
        return _sequence(layer.config, shape)
    if layer.class_name == "Bidirectional":
        name, config = _inner(layer)
        one = _sequence(config, shape) if name in LOOPS else None
        merged = layer.config.get("merge_mode", "concat")
        if one is None or not isinstance(one[-1], int) or merged is None:
            return None
        return (*one[:-1], 2 * one[-1]) if merged == "concat" else one
    if layer.class_name in ("Conv1DTranspose", "Convolution1DTranspose"):
        return _deconvolved(layer.config, shape)
    return None


def _inner(layer: Layer) -> tuple[str, dict[str, Any]]:
    """Class and config of the layer that a wrapper holds."""
    inner = layer.config.get("layer")
    if not isinstance(inner, dict) or not isinstance(inner.get("config"), dict):
        return "", {}
    return str(inner.get("class_name")), inner["config"]


def _sequence(config: dict[str, Any], shape: Shape) -> Shape | None:
    units = config.get("units")
    if len(shape) != 3 or not isinstance(units, int) or config.get("return_state"):
        return None
    return (*shape[:2], units) if config.get("return_sequences") else (shape[0], units)


def _deconvolved(config: dict[str, Any], shape: Shape) -> Shape | None:
    filters, (kernel, stride, dilation) = config.get("filters"), (_one(config, n) for n in _SIZES)
    first = config.get("data_format") == "channels_first"
    if len(shape) != 3 or first or config.get("output_padding") is not None or not isinstance(filters, int):
        return None
    length = shape[1]
    if length is None or kernel is None or stride is None or dilation is None:
        return (shape[0], None, filters)
    reach = max((kernel - 1) * dilation + 1 - stride, 0) if config.get("padding") == "valid" else 0
    return (shape[0], length * stride + reach, filters)


_SIZES = ("kernel_size", "strides", "dilation_rate")


def _one(config: dict[str, Any], name: str) -> int | None:
    """A size that is one number, also where it stands in a list."""
    value = config.get(name, 1)
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, int) else None
