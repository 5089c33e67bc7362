"""Values of a Keras config, which is JSON that anybody may have written."""

from __future__ import annotations

from typing import Any


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
    if all(size is None or type(size) is int for size in value):
        return tuple(value)
    return None
