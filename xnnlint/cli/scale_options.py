"""Options of commands for very many models: where the work is done, and from where it goes on."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct

from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    import typer


class Engine(str, Enum):
    PROCESSES = "processes"
    DASK = "dask"


class EngineOptions(Struct, frozen=True):
    """Where the work is done."""

    engine: Annotated[
        Engine, typer.Option(help="Share the work out to processes (--jobs), or to workers of a dask cluster.")
    ] = Engine.PROCESSES
    scheduler: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="With --engine dask: its scheduler, such as tcp://10.0.0.1:8786; without, --jobs workers here.",
        ),
    ] = ""

    def check(self) -> None:
        """Raises:
        XnnlintError: they contradict each other.
        """
        if self.scheduler and self.engine is not Engine.DASK:
            raise XnnlintError("--scheduler goes with --engine dask")
