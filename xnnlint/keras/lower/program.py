"""A program of TFLite operators in the making: what layers are lowered to, and what the rewrites work on.

A `Node` is a TFLite operator that remembers the TensorFlow operation (`Step`) that the converter would have made it
of: names of those decide on the order of operators in the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    import numpy as np

# Batch first; None for a dimension that is only known at run time.
Shape = tuple[int | None, ...]

# How many constants may be computed from one another before the last one is; deeper ones would exhaust the stack.
_MAX_DEPTH = 64
# Below it, products of a weight and a factor may become zero that were none.
_SMALLEST_SAFE_FACTOR = 1e-20


class Constant:
    """A constant, computed when it is asked for.

    Attributes:
        key: equal for constants that are equal for a known reason; the converter stores those once.
        sources: the TensorFlow operations that it comes from: variables and constants, by name.
        known: False where the file holds no values (a bare architecture).
    """

    def __init__(
        self,
        make: Callable[[], np.ndarray],
        key: Any,
        sources: tuple[str, ...] = (),
        zeros: Callable[[], int] | None = None,
        known: bool = True,
    ) -> None:
        self._make = make
        self._count = zeros
        self.key = key
        self.sources = sources
        self.known = known
        self.depth = 0

    @cached_property
    def array(self) -> np.ndarray:
        """The values, in the shape of the tensor."""
        import numpy as np

        # Weights that diverged in training overflow here as they do in the converter; that is nothing to warn of.
        with np.errstate(all="ignore"):
            return self._make()

    @cached_property
    def zeros(self) -> int:
        """How many values are zero."""
        if self._count is not None and "array" not in self.__dict__:
            return self._count()
        from xnnlint.model.weights import count_zeros

        return count_zeros(self.array)

    def count_zeros_by(self, count: Callable[[], int]) -> None:
        """Sets a faster way to the number of zeros than to count them."""
        self._count = count

    @property
    def scalar(self) -> float | None:
        """The value of a constant with one element."""
        return float(self.array.reshape(-1)[0]) if self.array.size == 1 else None

    def derive(
        self,
        what: Any,
        make: Callable[[np.ndarray], np.ndarray],
        others: Iterable[Constant] = (),
        keeps_zeros: bool = False,
    ) -> Constant:
        """A constant computed from this one, and from others that `make` knows.

        Args:
            what: names the computation; with the constants' keys it makes the new key.
            make: from this constant's array to the new one.
            keeps_zeros: whether as many elements of the result are zero, whatever the values.
        """
        others = tuple(others)
        result = Constant(
            lambda: make(self.array),
            (what, self.key, *(c.key for c in others)),
            self.sources + tuple(s for c in others for s in c.sources),
            (lambda: self.zeros) if keeps_zeros else None,
            self.known and all(c.known for c in others),
        )
        result.depth = 1 + max(c.depth for c in (self, *others))
        if result.depth > _MAX_DEPTH and result.array is not None:
            result.depth, result.key, result.sources = 0, object(), ()
        return result

    def scaled(self, factor: Constant, axis: int, divide: bool = False) -> Constant:
        """This constant times a scalar, or a vector along one axis, in single precision as the converter folds it."""

        def broadcast(values: np.ndarray) -> np.ndarray:
            import numpy as np

            by = factor.array.reshape(-1)
            if by.size == 1 or values.ndim == 1:
                by = by if values.ndim <= 1 else by.reshape([1] * values.ndim)
            else:
                by = by.reshape([-1 if d == axis % values.ndim else 1 for d in range(values.ndim)])
            if not self.known:
                return np.broadcast_to(values, np.broadcast_shapes(values.shape, by.shape))
            return np.asarray(values / by if divide else values * by)

        def zeros() -> int:
            import numpy as np

            by = np.abs(factor.array)
            safe = by.size and np.isfinite(by).all() and by.min() > _SMALLEST_SAFE_FACTOR and not divide
            return self.zeros if safe else _count(result.array)

        result = self.derive(("scaled", axis, divide), broadcast, [factor])
        result.count_zeros_by(zeros)
        return result


def _count(array: np.ndarray) -> int:
    from xnnlint.model.weights import count_zeros

    return count_zeros(array)


class Value(Struct, eq=False):
    """A tensor: an input of the model, a constant, or what a node computes.

    Attributes:
        shape: None where not even the rank is known.
        dtype: TensorType of the TFLite schema by name.
        is_variable: whether it lives on between runs.
    """

    shape: Shape | None
    dtype: str = "FLOAT32"
    constant: Constant | None = None
    producer: Node | None = None
    name: str = ""
    is_variable: bool = False

    def __repr__(self) -> str:
        # Without its producer, and so all of the program before it.
        return f"<tensor {self.name}>"

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    @property
    def is_static(self) -> bool:
        return self.shape is not None and None not in self.shape

    @property
    def key(self) -> Any:
        """What keeps this tensor apart from others: two constants that are equal are one."""
        return ("constant", self.constant.key) if self.constant is not None else id(self)


class Step(Struct, eq=False):
    """An operation of the TensorFlow graph: its name there, and its place in the order in which it is converted."""

    name: str
    place: int = -1
    nodes: int = 0


class Node(Struct, eq=False):
    """A TFLite operator.

    Attributes:
        name: the layer it comes from, with the names of the models around it.
        place: where it stands in the file.
        called: of a WHILE its condition and its body, of a CALL_ONCE what it calls.
    """

    type: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any]
    name: str
    step: Step
    part: int = 0
    custom_code: str = ""
    version: int = 1
    called: tuple[Program, ...] = ()

    @property
    def output(self) -> Value:
        return self.outputs[0]

    @property
    def place(self) -> tuple[int, int]:
        return (self.step.place, self.part)

    @property
    def activation(self) -> str:
        return str(self.attributes.get("fused_activation_function", "NONE"))

    def constant(self, slot: int) -> Constant | None:
        """The constant that it reads in a slot."""
        value = self.inputs[slot] if slot < len(self.inputs) else None
        return None if value is None else value.constant


class Variable(Struct):
    """A variable of the file, which starts with zeros: what stands for it, and shape and type of its value."""

    handle: Value
    shape: Shape
    dtype: str


class Program(Struct):
    """A model as TFLite operators.

    Attributes:
        inputs: by the names that users gave them, in the order of the model.
        nodes: in the order of the file.
        variables: by the names that they have in the file.
        unknown: names of the layers whose operators are not known, and why.
        cures: those of them that the converter refuses, and what to do.
        kept: those of them that were taken to give out what they get.
        behind: names of layers that cannot be looked at -> the one of unknown effect whose shape they depend on.
        unsure: names of the layers that depend on one of unknown effect.
        misfit: whether a layer behind one that was taken so cannot read what that gets.
    """

    inputs: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)
    cures: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    misfit: bool = False


def elements(shape: Shape) -> int | None:
    """How many elements a tensor has, None if that is only known at run time."""
    return None if None in shape else math.prod(d for d in shape if d is not None)


def broadcast(*shapes: Shape | None) -> Shape | None:
    """The shape of an elementwise operation's result; a dimension that is unknown is None."""
    if any(s is None for s in shapes):
        return None
    known = [s for s in shapes if s is not None]
    rank = max((len(s) for s in known), default=0)
    result: list[int | None] = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in known if len(s) >= -axis} - {1}
        fixed = sizes - {None}
        result.append(next(iter(fixed)) if fixed else (None if sizes else 1))
    return tuple(result)


def window(size: int | None, kernel: int, stride: int, same: bool, dilation: int = 1) -> int | None:
    """Output size of a convolution or pooling along one axis."""
    if size is None:
        return None
    covered = 1 if same else (kernel - 1) * dilation + 1
    return max(-(-(size - covered + 1) // stride), 0)
