"""A Keras model as read from a file or from memory: layers, calls and weights, nothing executed.

Both config dialects (Keras 2 / tf_keras, and Keras 3) are read into this one form, with names and values as the user
wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    import numpy as np


class TensorRef(Struct, frozen=True):
    """An output of one call of a layer: layer name, number of the call (for shared layers), number of the output."""

    layer: str
    call: int = 0
    output: int = 0


class Call(Struct):
    """One call of a layer: its arguments, in which every Keras tensor is a `TensorRef`.

    The first positional argument holds the inputs as the layer was given them: one tensor, or a list or dict of them.
    Constants are plain Python: numbers, texts, lists, tuples, dicts, slices, Ellipsis.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def inputs(self) -> list[TensorRef]:
        """Every tensor among the arguments, in order, depth first."""
        found: list[TensorRef] = []
        pending: list[Any] = [self.kwargs, self.args]
        while pending:
            item = pending.pop()
            if isinstance(item, TensorRef):
                found.append(item)
            elif isinstance(item, dict):
                pending += reversed(item.values())
            elif isinstance(item, (list, tuple)):
                pending += reversed(item)
        return found


class Declared(str, Enum):
    """What the user says of a layer whose code is not read.

    `IDENTITY`: it gives out what it gets. `ELEMENTWISE`: it computes every element of its one output from the same
    elements of its inputs, by operators that XNNPACK runs in either layout.
    """

    IDENTITY = "identity"
    ELEMENTWISE = "elementwise"


class PruningSchedule(Struct, frozen=True):
    """What a PruneLowMagnitude wrapper makes of its layer (pruning_schedule.py of tensorflow/model-optimization).

    Attributes:
        final: the share of zeros, 0 to 1, at its end.
        end: the step at which that is reached; -1 where it never ends.
        block: height and width of the blocks that become zero together.
        pattern: (m, n) where m of every n neighbours become zero, which only a model in memory says.
    """

    kind: str
    final: float
    end: int = -1
    block: tuple[int, int] = (1, 1)
    pattern: tuple[int, int] | None = None

    @property
    def share(self) -> float:
        """Of zeros at the end."""
        return self.pattern[0] / self.pattern[1] if self.pattern is not None else self.final


class Layer(Struct):
    """A layer.

    Attributes:
        name: the user's name for it, unique in its model; for a PruneLowMagnitude wrapper that of the wrapped layer.
        class_name: the registered class, such as "Conv2D"; for a PruneLowMagnitude wrapper that of the wrapped layer.
        config: its config as stored; of the wrapped layer for a wrapper.
        calls: in the order of the file, which is that of `TensorRef.call`; none for an InputLayer.
        weights: the variables by their short name, the same in both dialects ("kernel", "depthwise_kernel", "bias",
            "gamma", "moving_mean", ...), as functions that give a read-only numpy array or raise `XnnlintError`; empty
            where the file has no weights.
        unmasked: of a wrapped layer, those of its weights that have a mask, as they are stored.
        pruning: whether it is wrapped in PruneLowMagnitude (strip_pruning was forgotten); its mask is applied to
            `weights` already.
        schedule: how its wrapper prunes it; None without one, or with one that is not known.
        model: the inner model of a nested Model or Sequential, else None.
        path: names of the enclosing models and its own, outermost first.
        opaque: why it cannot be read ("custom layer Swish", "Lambda"), else "".
        declared: what the user says that it is: one word for it, or the layers that stand in its place, each reading
            what the one before gives; None where nothing is said.
        module: where the file says that the class lives ("keras.layers", "keras.src.ops.numpy"), else "".
        wrapper: name of the PruneLowMagnitude wrapper, by which the file knows the layer, else "".
        added: whether it is an InputLayer that the file leaves out.
        build_shape: the shape of the first input when it was saved, batch first, if the file says so.
    """

    name: str
    class_name: str
    config: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    weights: dict[str, Callable[[], np.ndarray]] = field(default_factory=dict)
    unmasked: dict[str, Callable[[], np.ndarray]] = field(default_factory=dict)
    pruning: bool = False
    schedule: PruningSchedule | None = None
    model: KerasModel | None = None
    path: tuple[str, ...] = ()
    opaque: str = ""
    declared: Declared | tuple[Layer, ...] | None = None
    module: str = ""
    wrapper: str = ""
    added: bool = False
    build_shape: tuple[int | None, ...] | None = None

    @property
    def is_masked(self) -> bool:
        """Whether zeros are stored wherever its wrapper has masked an element: whether the masks were applied."""
        return all(self.weights[name]().tobytes() == read().tobytes() for name, read in self.unmasked.items())

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of keras.ops rather than a layer: both have an Add, a Reshape, a Concatenate."""
        return self.module.startswith("keras.") and ".ops" in self.module


class KerasModel(Struct):
    """A model: its layers in the order of the file, and which tensors go in and out.

    Attributes:
        dialect: "keras2" (Keras 2 and tf_keras) or "keras3".
        sequential: whether it is a Sequential rather than a Functional model.
        layers: each InputLayer too; one is added where a Sequential was saved without it.
        inputs, outputs: in the order in which Keras flattens them: dictionaries by sorted keys.
        has_weights: False for a bare architecture.
    """

    name: str
    dialect: str
    layers: list[Layer]
    inputs: list[TensorRef]
    outputs: list[TensorRef]
    has_weights: bool = True
    sequential: bool = False

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def all_layers(self) -> Iterator[Layer]:
        """Every layer of it and of the models in it, in the order of the file; a nested model before its layers."""
        for layer in self.layers:
            yield layer
            if layer.model is not None:
                yield from layer.model.all_layers()
