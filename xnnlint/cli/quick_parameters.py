"""Command-line parameters of plain types without typer's own coercion, which since 0.29 imports pydantic (0.07 s).

Only where this typer has that coercion and the parameter is a flag, text, a list of text, an enumeration, or a number
that is not given; whatever else comes along is typer's. That typer also puts Python's types behind the names of
arguments in --help (`PATH <list[str]>`), which are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from xnnlint.cli import mistakes


class _Quick:
    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            coercion = _coercion_for(parameter)
            if coercion is not None:
                parameter._runtime_param = coercion
                if parameter.param_type_name == "argument" and hasattr(parameter, "display_type_rich"):
                    parameter.display_type_rich = lambda ctx: ""
        return parameters


class QuickCommand(_Quick, TyperCommand):
    """For `app.command(cls=...)`; knows what is meant by options that there are not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        command = self.name or ""
        return _parsed(super().parse_args, ctx, mistakes.renamed(command, args), command)


class QuickGroup(_Quick, TyperGroup):
    """For `typer.Typer(cls=...)`; knows what is meant by a model without a command, and by options before one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return _parsed(super().parse_args, ctx, args, "")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        meant = mistakes.meant_command(args[0]) if args and self.get_command(ctx, args[0]) is None else ""
        if meant:
            ctx.fail(meant)
        return super().resolve_command(ctx, args)


def _parsed(parse: Callable[[Any, list[str]], list[str]], ctx: Any, args: list[str], command: str) -> list[str]:
    try:
        return parse(ctx, args)
    except Exception as error:
        # By its attribute: which module the class is in depends on the version of typer.
        meant = mistakes.meant_option(command, getattr(error, "option_name", ""))
        if meant:
            ctx.fail(meant)
        raise


def _coercion_for(parameter: Any) -> _Coercion | None:
    if getattr(parameter, "_runtime_param", "unknown") is not None:
        return None  # a typer that coerces in another way, or done already
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    plain = kind in (bool, str, int, float, list[str]) or (isinstance(kind, type) and issubclass(kind, Enum))
    return _Coercion(kind) if plain else None


class _Coercion:
    """Stands in for typer's `RuntimeParam`."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def coerce(self, value: Any, param: Any = None, ctx: Any = None, **_: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return list(value)
        if value is None or not isinstance(value, str) or self.kind is str:
            return value
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return self._choice(value, param, ctx)
        # A number, or a flag as text from somewhere else than the command line.
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)

    def _choice(self, value: str, param: Any, ctx: Any) -> Enum:
        try:
            chosen: Enum = self.kind(value)
            return chosen
        except ValueError:
            known = ", ".join(repr(choice.value) for choice in self.kind)
            raise typer.BadParameter(f"{value!r} is not one of {known}.", ctx=ctx, param=param) from None
