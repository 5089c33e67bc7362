"""Commands that take one object of options instead of a parameter for each.

typer reads the options of a command from the signature of a function. `as_command` gives it one with a parameter for
every field of the command's struct, where a field that is such a struct itself stands for the fields of that; so
groups of options that several commands have are declared once. What annotations need of typer is given here
(`option_types`), so that the modules of options do not import it.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
from msgspec import Struct

from xnnlint.cli import option_types


def as_command(run: Callable[..., None]) -> Callable[..., None]:
    """What typer can take for a command.

    Args:
        run: with one parameter that is a struct; a function with any other parameters is given back as it is.
    """
    hints = typing.get_type_hints(run, _names(run))
    hints.pop("return", None)
    (options, *more) = hints.values()
    if more or not _is_struct(options):
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
    """A struct of options: for each field a parameter, or the group that it is."""

    def __init__(self, kind: type[Struct]) -> None:
        self._kind = kind
        self._parts: dict[str, inspect.Parameter | _Group] = {}
        hints = typing.get_type_hints(kind, _names(kind), include_extras=True)
        for name, default in _defaults(kind):
            if _is_struct(hints[name]):
                self._parts[name] = _Group(hints[name])
                continue
            keyword = inspect.Parameter.KEYWORD_ONLY
            self._parts[name] = inspect.Parameter(name, keyword, default=default, annotation=hints[name])

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


def _defaults(kind: type[Struct]) -> Iterator[tuple[str, Any]]:
    """The fields of a struct and their defaults. (msgspec.structs.fields would also resolve the annotations, which it
    cannot: they name typer.)"""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    required = len(names) - len(defaults)
    yield from ((name, inspect.Parameter.empty) for name in names[:required])
    for name, default in zip(names[required:], defaults, strict=True):
        # A factory is of a type that msgspec has no public name for.
        make = getattr(default, "factory", None)
        yield name, default if make is None else make()


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


def _names(declared: Any) -> dict[str, Any]:
    """What the annotations of a function or class may name."""
    return {"typer": typer} | vars(option_types) | vars(sys.modules[declared.__module__])
