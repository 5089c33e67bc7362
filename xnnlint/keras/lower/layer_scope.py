"""Where layers put their operators: one `Scope` for each call of a layer, one `Builder` for the model.

Names are kept as TensorFlow would give them ("model/conv2d/Conv2D", and "model_conv2d_conv2d_readvariableop_resource"
for the variable that it reads), since the converter orders operators by them (`convert_order`). Sources:
tensorflow/tensorflow core/framework/graph_to_functiondef.cc `NodeNameMapping::Normalize`; the layers of
keras-team/tf-keras.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from xnnlint.errors import NotSupported
from xnnlint.keras.config_values import Options
from xnnlint.keras.description import Layer
from xnnlint.keras.lower.program import Constant, Node, Program, Shape, Step, Value

if TYPE_CHECKING:
    import numpy as np

# A config can claim any number of weights; so many take 1 GB.
_MAX_ELEMENTS = 1 << 28
_MOST = (1 << 31) - 1
_NOT_PLAIN = re.compile("[^A-Za-z0-9]")
CONSTANT_TYPES = {"INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4", "BOOL": "?"}


class NotConverted(NotSupported):
    """What the converter refuses, so that no .tflite file comes out.

    Attributes:
        cure: what to do.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"the converter refuses it {reason}, so that no .tflite file comes out")
        self.cure = cure


class Misfit(NotSupported):
    """What a layer reads does not fit its weights."""


class Builder(Struct):
    """Lowers one model.

    Attributes:
        program: what comes out.
        share: the share of zeros that every 1x1 convolution's kernel is taken to have, or None to take it as it is.
        keep: whether layers of unknown effect are taken to give out what they get.
        at_end: whether the kernels of layers that are being pruned are taken as they are once their schedules end.
        channels_first: whether any layer has its channels first.
    """

    program: Program
    dialect: str
    share: float | None = None
    has_weights: bool = True
    keep: bool = False
    at_end: bool = False
    channels_first: bool = False
    _names: dict[str, int] = field(default_factory=dict)
    _variables: dict[tuple[str, ...], str] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """A name that nothing else has, numbered like TensorFlow's (`Graph.unique_name`, framework/ops.py)."""
        key = name.lower()
        number = self._names.get(key, 0)
        self._names[key] = number + 1
        if not number:
            return name
        while f"{key}_{number}" in self._names:
            number += 1
        self._names[f"{key}_{number}"] = 1
        return f"{name}_{number}"

    def inner(self, prefix: str, name: str) -> str:
        """The names around the operations of a layer or model that is called within another one.

        Keras 2 enters a layer's scope again as it is; Keras 3 enters a new one, and twice.
        """
        path = f"{prefix}/{name}" if prefix else name
        if self.dialect == "keras2":
            return path
        self.unique(path)
        return self.unique(path)

    def variable(self, key: tuple[str, ...], reader: str) -> str:
        """The name of the argument that stands for a variable: after the first operation that reads it."""
        return self._variables.setdefault(key, normalize(f"{reader}/resource"))


def normalize(name: str) -> str:
    """A name as an argument of a TensorFlow function has it."""
    plain = _NOT_PLAIN.sub("_", name).lower()
    start = next((i for i, c in enumerate(plain) if c.isalpha()), None)
    return "unknown" if start is None else plain[start:]


class Scope(Struct):
    """One call of a layer.

    Attributes:
        prefix: the names around its operations, such as "model/conv2d".
        label: what a person calls the layer, such as "backbone/conv2d".
        training: what the call of the model around it says, None where it says nothing.
    """

    builder: Builder
    layer: Layer
    prefix: str
    label: str
    training: Any = None

    @property
    def config(self) -> Options:
        return Options(self.layer.config)

    @property
    def share(self) -> float | None:
        """The share of zeros that a kernel is taken to have; None for those that it has."""
        schedule = self.layer.schedule
        return schedule.share if self.builder.at_end and schedule is not None else self.builder.share

    @property
    def is_keras_3(self) -> bool:
        return self.builder.dialect == "keras3"

    def in_training(self, args: list[Any], kwargs: dict[str, Any]) -> bool:
        """Whether the call says training=True, or that of the model around it does.

        Keras 3 passes the converter's training=False on to every layer (`operation_fn` of keras/models/functional.py),
        and layers that are not trainable normalize as in inference.
        """
        if self.is_keras_3:
            return False
        said = kwargs.get("training", args[1] if len(args) > 1 else None)
        said = self.training if said is None else said
        is_frozen = "Norm" in self.layer.class_name and not self.layer.config.get("trainable", True)
        return said not in (None, False, 0) and not is_frozen

    # -- operators

    def op(
        self,
        type_: str,
        inputs: Sequence[Value | None],
        shape: Shape | None,
        at: str | Step,
        attributes: dict[str, Any] | None = None,
        dtype: str = "FLOAT32",
    ) -> Value:
        """Adds an operator with one output.

        Args:
            at: the name of its TensorFlow operation in this layer, or the step of an operation that makes several.
        """
        return self.ops(type_, inputs, [shape], at, attributes, dtype)[0]

    def ops(
        self,
        type_: str,
        inputs: Sequence[Value | None],
        shapes: Iterable[Shape | None],
        at: str | Step,
        attributes: dict[str, Any] | None = None,
        dtype: str = "FLOAT32",
        custom_code: str = "",
    ) -> list[Value]:
        """Adds an operator with several outputs.

        Raises:
            NotSupported: a size takes more than 32 bits, which no file can say.
        """
        shapes = list(shapes)
        if not all(map(fits_a_file, shapes)):
            raise NotSupported("it computes sizes of more than 32 bits")
        step = self.step(at) if isinstance(at, str) else at
        outputs = [Value(shape, dtype, name=step.name) for shape in shapes]
        node = Node(type_, list(inputs), outputs, dict(attributes or {}), self.label, step, step.nodes, custom_code)
        step.nodes += 1
        for value in outputs:
            value.producer = node
        self.builder.program.nodes.append(node)
        return outputs

    def step(self, at: str) -> Step:
        """An operation of the TensorFlow graph, for operators to be made of."""
        return Step(self.builder.unique(f"{self.prefix}/{at}"))

    def inner_name(self, name: str) -> str:
        """A name of its own for a group of operations in this layer: "Repeat", then "Repeat_1"."""
        return self.builder.unique(f"{self.prefix}/{name}").removeprefix(f"{self.prefix}/")

    # -- constants

    def constant(self, values: Any, at: str, dtype: str = "FLOAT32") -> Value:
        """A constant of the layer's own code or config."""
        import numpy as np

        # What is too large for 32 bits becomes infinite, as it does in TensorFlow.
        with np.errstate(over="ignore"):
            array = np.asarray(values, dtype=CONSTANT_TYPES[dtype])
        array.flags.writeable = False
        constant = Constant(lambda: array, (dtype, array.shape, array.tobytes()), (f"{self.prefix}/{at}",))
        return Value(array.shape, dtype, constant, name=f"{self.prefix}/{at}")

    def integers(self, values: Any, at: str, *more: str) -> Value:
        """Whole numbers.

        Args:
            more: further constants of the same TensorFlow operation, which TFLite has as attributes.

        Raises:
            NotSupported: one takes more than 32 bits; products of sizes do not show before they are stored.
        """
        import numpy as np

        numbers = np.asarray(values)
        if numbers.dtype == object or (numbers.size and not -_MOST <= numbers.min() <= numbers.max() <= _MOST):
            raise NotSupported("it computes sizes of more than 32 bits")
        value = self.constant(numbers, at, "INT32")
        assert value.constant is not None
        value.constant.sources += tuple(f"{self.prefix}/{name}" for name in more)
        return value

    def weight(self, name: str, shape: Shape, at: str, default: float = 0.0) -> Value:
        """A variable of the layer; where the file has no weights, one with the same value everywhere.

        Args:
            name: its short name.
            shape: what it should be by the config.
            at: the operation that reads it, such as "Conv2D/ReadVariableOp".

        Raises:
            NotSupported: the file holds another shape than the config says, or none though it has weights.
        """
        import numpy as np

        if any(d is None for d in shape):
            raise NotSupported("its number of channels is unknown")
        expected = tuple(int(d) for d in shape if d is not None)
        if any(d < 0 for d in expected):
            raise NotSupported(f"it claims weights of the shape {list(expected)}")
        if math.prod(expected) > _MAX_ELEMENTS:
            raise NotSupported(f"it claims {math.prod(expected):,} weights")
        stored = self.layer.weights.get(name)
        key = (*(self.layer.path or (self.layer.name,)), name)
        source = self.builder.variable(key, f"{self.prefix}/{at}")
        if stored is not None:
            found = stored()
            if found.shape != expected:
                problem = f"its variable {name!r} has the shape {list(found.shape)}"
                raise Misfit(f"{problem}, and its config says {list(expected)}")
            if found.dtype.kind not in "biuf":
                raise Misfit(f"its variable {name!r} holds no numbers")
            constant = Constant(partial(_floats, stored), ("variable", *key), (source,))
        elif self.builder.has_weights:
            raise NotSupported(f"the file holds no variable {name!r} for it")
        else:
            constant = Constant(
                # Without memory of its own: a config alone can claim any size.
                lambda: np.broadcast_to(np.float32(default), expected),
                ("variable", *key),
                (source,),
                zeros=lambda: 0 if default else math.prod(expected),
                known=False,
            )
        return Value(expected, "FLOAT32", constant, name="/".join(key))

    def stored_shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a variable in the file, if it is there."""
        stored = self.layer.weights.get(name)
        return None if stored is None else tuple(stored().shape)


def fits_a_file(shape: Shape | None) -> bool:
    """Whether a file can say a shape: sizes have 32 bits."""
    return all(size is None or size <= _MOST for size in shape or ())


def _floats(stored: Callable[[], np.ndarray]) -> np.ndarray:
    return stored().astype("<f4", copy=False)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        NotSupported: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise NotSupported(f"it works along axis {axis} of a tensor with {rank} dimensions")
    return axis % rank


def shape_of(value: Value, *ranks: int) -> Shape:
    """The shape of a value, which must have one of the given ranks if any are given.

    Raises:
        NotSupported: the shape or the rank is not what it must be.
    """
    if value.shape is None:
        raise NotSupported("the shape of its input is unknown")
    if ranks and len(value.shape) not in ranks:
        raise NotSupported(f"its input has {len(value.shape)} dimensions")
    return value.shape


def channels_last(config: Options) -> None:
    """Refuses data_format="channels_first".

    Raises:
        NotSupported: it is that.
    """
    if config.given("data_format") not in (None, "channels_last"):
        # Seen in converted files; of some layers the converter makes nothing at all.
        raise NotSupported(
            "its data_format is channels_first, so that the converter puts a TRANSPOSE before and behind it; build the"
            " model with channels_last"
        )


def is_same(config: Options) -> bool:
    """Whether a window is padded so that a stride of 1 keeps the size.

    Raises:
        NotSupported: its padding is another one than "same" and "valid".
    """
    padding = config.word("padding", default="valid").lower()
    if padding not in ("same", "valid"):
        raise NotSupported(f"its padding is {padding!r}")
    return padding == "same"
