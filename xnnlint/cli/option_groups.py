"""Commands that take one object of options instead of a parameter for each.

typer reads the options of a command from the signature of a function. `as_command` gives it one with a parameter for
every field of the command's dataclass, where a field that is such a dataclass itself stands for the fields of that; so
groups of options that several commands have are declared once. What annotations need of typer is given here
(`option_types`), so that the modules of options do not import it.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from xnnlint.cli import option_types


def as_command(run: Callable[..., None]) -> Callable[..., None]:
    """What typer can take for a command.

    Args:
        run: with one parameter that is a dataclass; a function with any other parameters is given back as it is.
    """
    hints = typing.get_type_hints(run, _names(run))
    hints.pop("return", None)
    (options, *more) = hints.values()
    if more or not dataclasses.is_dataclass(options):
        return run
    group = _Group(typing.cast(type[Any], options))

    def call(**given: Any) -> None:
        run(group.made(given))

    parameters = list(group.parameters())
    call.__name__, call.__doc__ = run.__name__, run.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


class _Group:
    """A dataclass of options: for each field a parameter, or the group that it is."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._parts: dict[str, inspect.Parameter | _Group] = {}
        hints = typing.get_type_hints(kind, _names(kind), include_extras=True)
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            is_group = dataclasses.is_dataclass(hint)
            self._parts[field.name] = _Group(typing.cast(type[Any], hint)) if is_group else _parameter(field, hint)

    def parameters(self) -> Iterator[inspect.Parameter]:
        for part in self._parts.values():
            if isinstance(part, _Group):
                yield from part.parameters()
            else:
                yield part

    def made(self, given: Mapping[str, Any]) -> Any:
        """The object, from the values of all parameters."""
        parts = self._parts.items()
        return self._kind(**{name: p.made(given) if isinstance(p, _Group) else given[name] for name, p in parts})


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    default = field.default
    if default is dataclasses.MISSING:
        make = field.default_factory
        default = inspect.Parameter.empty if make is dataclasses.MISSING else make()
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _names(declared: Any) -> dict[str, Any]:
    """What the annotations of a function or class may name."""
    return {"typer": typer} | vars(option_types) | vars(sys.modules[declared.__module__])
