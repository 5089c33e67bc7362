"""A Dense layer and a 1x1 convolution have the same weights in another shape: one becomes the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.keras.config_scope import Entry, Scope, name_of
from xnnlint.fixes.keras.layer_code import code

if TYPE_CHECKING:
    import numpy as np

_SHARED = (
    "name", "trainable", "dtype", "activation", "use_bias", "kernel_initializer", "bias_initializer",
    "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint",
)  # fmt: skip
POINTWISE = {"padding": "valid", "data_format": "channels_last", "groups": 1}
Arrays = "tuple[np.ndarray, ...]"


def is_pointwise(entry: Entry) -> bool:
    """Whether a layer is a Conv2D that a Dense layer can stand for: 1x1, of stride 1, in one group."""
    config = entry["config"]
    return (
        entry["class_name"] == "Conv2D"
        and _pair(config.get("kernel_size")) == (1, 1)
        and _pair(config.get("strides", 1)) == (1, 1)
        and config.get("groups", 1) == 1
        and config.get("data_format") in (None, "channels_last")
    )


def become_pointwise(scope: Scope, entry: Entry) -> tuple[np.ndarray, ...]:
    """Makes a Dense layer a 1x1 convolution, and gives its weights as that has them.

    Raises:
        CannotChange: its weights cannot be given to another class here.
    """
    config = entry["config"]
    new = {"filters": config["units"], **{key: [1, 1] for key in ("kernel_size", "strides", "dilation_rate")}}
    return _become(scope, entry, "Conv2D", new | POINTWISE, (1, 1))


def become_dense(scope: Scope, entry: Entry) -> tuple[np.ndarray, ...]:
    """Makes a 1x1 convolution a Dense layer; as `become_pointwise`."""
    return _become(scope, entry, "Dense", {"units": entry["config"]["filters"]}, ())


def can_become(scope: Scope, entry: Entry) -> bool:
    """Whether a layer's weights can be given to one of another class: it is called once, in the outermost model."""
    return not scope.path and scope.calls(entry) == 1


def _become(scope: Scope, entry: Entry, class_name: str, new: Entry, window: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    if not can_become(scope, entry):
        raise CannotChange(f"{name_of(entry)!r} is in a nested model, or called more than once")
    arrays: list[Any] = [read() for read in scope.known.weights.get(scope.label(entry), {}).values()]
    old = entry["config"]
    entry["class_name"], entry["config"] = class_name, {key: old[key] for key in _SHARED if key in old} | new
    if not arrays:
        return ()
    kernel, *rest = arrays
    return (kernel.reshape(*window, *kernel.shape[-2:]), *rest)


def _pair(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def shown(entries: list[Entry]) -> tuple[str, ...]:
    return tuple(code(entry) for entry in entries)
