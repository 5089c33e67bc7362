"""The command `xnnlint clean`."""

from __future__ import annotations

from typing import Annotated

import typer

from xnnlint.cache.answers import store


def clean(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Remove what check has remembered of models (LiteRT releases that were fetched stay)."""
    count = store().clear()
    if not quiet:
        typer.echo(f"removed {count} {'entry' if count == 1 else 'entries'}")
