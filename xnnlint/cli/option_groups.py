"""Commands that take one object of options instead of a parameter for each.

typer reads the options of a command from the signature of a function. `as_command` gives it one with a parameter for
every field of the command's dataclass, where a field that is such a dataclass itself stands for the fields of that; so
groups of options that several commands have are declared once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def as_command(run: Callable[..., None]) -> Callable[..., None]:
    """What typer can take for a command.

    Args:
        run: with one parameter that is a dataclass; a function with any other parameters is given back as it is.
    """
    hints = typing.get_type_hints(run)
    hints.pop("return", None)
    (options, *more) = hints.values()
    if more or not dataclasses.is_dataclass(options):
        return run
    kind = typing.cast(type[Any], options)

    def call(**given: Any) -> None:
        run(_made(kind, given))

    parameters = list(_parameters(kind))
    call.__name__, call.__doc__ = run.__name__, run.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


@functools.cache
def _fields(kind: type[Any]) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """The fields of a dataclass with what typer reads of their types."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple((field, hints[field.name]) for field in dataclasses.fields(kind))


def _parameters(kind: type[Any]) -> Iterator[inspect.Parameter]:
    for field, hint in _fields(kind):
        if dataclasses.is_dataclass(hint):
            yield from _parameters(typing.cast(type[Any], hint))
            continue
        default = field.default
        if default is dataclasses.MISSING:
            make = field.default_factory
            default = inspect.Parameter.empty if make is dataclasses.MISSING else make()
        yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _made(kind: type[Any], given: Mapping[str, Any]) -> Any:
    values = {}
    for field, hint in _fields(kind):
        is_group = dataclasses.is_dataclass(hint)
        values[field.name] = _made(typing.cast(type[Any], hint), given) if is_group else given[field.name]
    return kind(**values)
