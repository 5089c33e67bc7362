"""Values of a Keras config, which is JSON that anybody may have written: checked where they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from xnnlint.errors import NotSupported

if TYPE_CHECKING:
    import numpy as np

# TFLite keeps sizes in 32 bits.
_MOST = (1 << 31) - 1
_MOST_RANKS = 8
# How much of a value is shown.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Options:
    """Options of a layer, or arguments of a function, by name.

    Each reader takes the names that an option has (it differs between dialects): the first that is given and not None
    counts. Where none is, the default; without a default the option is required.

    Raises:
        NotSupported: by every reader: it is missing, or something else than what is required.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def given(self, *names: str) -> Any:
        """The value as it is, None where there is none."""
        return next((self.values[n] for n in names if self.values.get(n) is not None), None)

    def whole(self, *names: str, default: int | None = None, least: int = -_MOST) -> int:
        """A whole number of 32 bits."""
        return whole(self._value(names, default), names[0], least)

    def wholes(
        self, *names: str, default: int | list[int] | None = None, count: int | None = None, least: int = -_MOST
    ) -> list[int]:
        """Whole numbers, or one of them.

        Args:
            count: how many there must be; one stands for all of them.
        """
        value = self._value(names, default)
        if not isinstance(value, (list, tuple)):
            return [whole(value, names[0], least)] * (count or 1)
        if count is not None and len(value) != count:
            raise _refusal(names[0], f"{count} whole numbers", value)
        return [whole(item, names[0], least) for item in value]

    def pair(self, *names: str, default: int | None = None, least: int = 1) -> tuple[int, int]:
        """A size of height and width, or one number for both."""
        height, width = self.wholes(*names, default=default, count=2, least=least)
        return height, width

    def pairs(self, *names: str, count: int) -> list[tuple[int, int]]:
        """(before, after) for each of some axes: Keras takes one number, one for each axis, or a pair for each."""
        value = self._value(names, None)
        if not isinstance(value, (list, tuple)):
            value = [value] * count
        elif count == 1 and len(value) == 2 and not isinstance(value[0], (list, tuple)):
            value = [value]
        if len(value) != count:
            raise _refusal(names[0], f"{count} pairs of whole numbers", value)
        return [_pair(item, names[0]) for item in value]

    def real(self, *names: str, default: float | None = None) -> float:
        """A number."""
        value = _unpacked(self._value(names, default))
        if not _is_number(value):
            raise _refusal(names[0], "a number", value)
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        """Yes or no."""
        value = self._value(names, default)
        if value not in (False, True):
            raise _refusal(names[0], "true or false", value)
        return bool(value)

    def word(self, *names: str, default: str | None = None) -> str:
        """A text."""
        value = self._value(names, default)
        if not isinstance(value, str):
            raise _refusal(names[0], "a text", value)
        return value

    def array(self, *names: str, default: float | None = None) -> np.ndarray:
        """Numbers, nested in lists of equal lengths, as float32."""
        import numpy as np

        value = _unpacked(self._value(names, default))
        if _shape_of_numbers(value) is None:
            raise _refusal(names[0], "numbers in lists of equal lengths", value)
        # What is too large for 32 bits becomes infinite, as it does in TensorFlow.
        with np.errstate(over="ignore"):
            return np.asarray(value, np.float32)

    def _value(self, names: tuple[str, ...], default: Any) -> Any:
        value = self.given(*names)
        value = default if value is None else value
        if value is None:
            raise NotSupported(f"its {names[0]} is missing")
        return value


def _unpacked(value: Any) -> Any:
    """The numbers of what was an array: {"value": ...} in Keras 2, {"config": {"value": ...}} in Keras 3."""
    if not isinstance(value, dict):
        return value
    config = value.get("config")
    return (config if isinstance(config, dict) else value).get("value")


def _refusal(name: str, required: str, value: Any) -> NotSupported:
    return NotSupported(f"its {name} must be {required}, not {_SHORT.repr(value)}")


def whole(value: Any, name: str, least: int = -_MOST) -> int:
    """A whole number of 32 bits.

    Args:
        name: of the option that it comes from.

    Raises:
        NotSupported: it is something else.
    """
    if not _is_number(value) or not math.isfinite(value) or value != int(value):
        raise _refusal(name, "a whole number", value)
    if not least <= value <= _MOST:
        raise _refusal(name, f"a number of {least} to {_MOST}" if least >= 0 else "a number of 32 bits", value)
    return int(value)


def _pair(value: Any, name: str) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)):
        return whole(value, name, 0), whole(value, name, 0)
    if len(value) != 2:
        raise _refusal(name, "a pair of whole numbers", value)
    return whole(value[0], name, 0), whole(value[1], name, 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 64)


def _shape_of_numbers(value: Any, deepest: int = _MOST_RANKS) -> tuple[int, ...] | None:
    """The shape of numbers in nested lists, None for anything else."""
    if _is_number(value):
        return ()
    if not isinstance(value, (list, tuple)) or not deepest:
        return None
    shapes = {_shape_of_numbers(item, deepest - 1) for item in value}
    shape = shapes.pop() if shapes else ()
    return None if shapes or shape is None else (len(value), *shape)


def shape_of_input(config: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The shape that an InputLayer's config gives, batch first; None where it gives none."""
    shapes = (shape_in(config.get(key)) for key in ("batch_input_shape", "batch_shape"))
    return next(filter(None, shapes), None)


def shape_in(value: Any) -> tuple[int | None, ...] | None:
    """A shape in any of the ways in which Keras writes one, the first one of several; None for anything else."""
    if isinstance(value, dict):
        value = value.get("items", value.get("config"))
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if isinstance(value[0], (list, tuple)):
        value = value[0]
    if all(size is None or (type(size) is int and abs(size) <= _MOST) for size in value):
        return tuple(value)
    return None
