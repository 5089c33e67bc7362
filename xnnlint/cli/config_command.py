"""The command `xnnlint config`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct, field

from xnnlint.cli.config_options import ConfigOptions
from xnnlint.cli.console import Format, warn, write, writing
from xnnlint.cli.option_types import FormatOption

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings


class ShowConfigOptions(Struct, frozen=True):
    """What `xnnlint config` is called with."""

    path: Annotated[str, typer.Argument(metavar="PATH", help="A model, or a folder of models; it need not exist.")] = (
        "."
    )
    output: FormatOption = Format.TEXT
    configuration: ConfigOptions = field(default_factory=ConfigOptions)


def config(options: ShowConfigOptions) -> None:
    """Show the settings that hold for a model, and where each comes from."""
    from xnnlint.cli.config_options import resolver

    found, path = resolver(options.configuration), options.path
    if options.output is Format.TEXT and not os.path.exists(path):  # noqa: PTH110
        warn(f"{path}: there is no such file; these are the settings of a model that would be there")
    # A folder has the settings of a model in it that no pattern means.
    settings = found.for_folder(path) if os.path.isdir(path) else found.for_model(path)  # noqa: PTH112
    run = found.for_run()
    if options.output is Format.JSON:
        from xnnlint.reporters.json_document import SCHEMA_VERSION, dumps, tool

        write(dumps({"schema_version": SCHEMA_VERSION, "tool": tool(), "path": path, **_data(settings, run)}) + "\n")
    else:
        from xnnlint.reporters.config_text import setting_lines
        from xnnlint.reporters.printer import Printer

        printer = Printer()
        with writing():
            printer.print(setting_lines(path, settings, run, printer.width))


def _data(settings: Settings, run: Settings) -> dict[str, Any]:
    from xnnlint.config.keys import KEYS

    data = {}
    for key in KEYS:
        of = run if key.for_run else settings
        source = of.sources[key.name]
        data[key.name] = {"value": _plain(of[key.name]), "source": source.place, "line": source.line or None}
    return {"settings": data, "not_told": settings.unreported()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
