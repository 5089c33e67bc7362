"""A Keras model as read from a file or from memory: layers, calls and weights, nothing executed.

Both config dialects (Keras 2 / tf_keras, and Keras 3) are read into this one form, with names and values as the user
wrote them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class TensorRef:
    """An output of one call of a layer: layer name, number of the call (for shared layers), number of the output."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass(slots=True)
class Call:
    """One call of a layer: its arguments, in which every Keras tensor is a `TensorRef`, and constants are as stored."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def inputs(self) -> list[TensorRef]:
        """Every tensor among the arguments, in order, depth first."""
        found: list[TensorRef] = []
        pending: list[Any] = [list(self.args), list(self.kwargs.values())]
        while pending:
            item = pending.pop(0)
            if isinstance(item, TensorRef):
                found.append(item)
            elif isinstance(item, dict):
                pending[:0] = list(item.values())
            elif isinstance(item, (list, tuple)):
                pending[:0] = list(item)
        return found


@dataclass(slots=True)
class Layer:
    """A layer.

    Attributes:
        name: the user's name for it, unique in its model.
        class_name: the registered class, such as "Conv2D"; for a PruneLowMagnitude wrapper that of the wrapped layer.
        config: its config as stored; of the wrapped layer for a wrapper.
        calls: in the order of the model's graph.
        weights: the variables by their short name ("kernel", "bias", "gamma", "moving_mean", ...), as functions that give
            a read-only numpy array; empty where the file has no weights.
        pruning: whether it is wrapped in PruneLowMagnitude (strip_pruning was forgotten); its mask is applied to
            `weights` already.
        model: the inner model of a nested Model or Sequential, else None.
        path: names of the enclosing models and its own, outermost first.
        opaque: why it cannot be read ("custom layer", "Lambda"), else "".
    """

    name: str
    class_name: str
    config: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    weights: dict[str, Callable[[], np.ndarray]] = field(default_factory=dict)
    pruning: bool = False
    model: KerasModel | None = None
    path: tuple[str, ...] = ()
    opaque: str = ""


@dataclass(slots=True)
class KerasModel:
    """A model: its layers in the order of the file, and which tensors go in and out.

    Attributes:
        dialect: "keras2" (Keras 2 and tf_keras) or "keras3".
        has_weights: False for a bare architecture.
    """

    name: str
    dialect: str
    layers: list[Layer]
    inputs: list[TensorRef]
    outputs: list[TensorRef]
    has_weights: bool = True

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)
