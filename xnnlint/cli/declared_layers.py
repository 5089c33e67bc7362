"""What the configuration declares of layers whose code is not read, and whether code that it names may run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from xnnlint.cli.code_permission import CODE, ask
from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings


def declared_layers(settings: Settings, of_run: Settings) -> tuple[tuple[str, str], ...]:
    """What layers of a model are declared to be.

    Args:
        settings: of the model.
        of_run: of the run, which alone are trusted with code, as with `models`.

    Raises:
        XnnlintError: code is named by another configuration than that of the run.
    """
    declared, trusted = settings["layers"], of_run["layers"]
    code = [name for name, what in declared.items() if ":" in what]
    if strange := next((name for name in code if trusted.get(name) != declared[name]), None):
        raise XnnlintError(
            f"{settings.sources['layers'].place}: layers: {strange} = {declared[strange]!r} would run code, which only "
            "the configuration of the current folder may name, or one that is given with --config"
        )
    if code:
        ask(CODE, declared[code[0]], of_run, "layers")
        search_modules_of(of_run)
    return tuple(declared.items())


def search_modules_of(settings: Settings) -> None:
    """Lets Python find modules beside the configuration that names them."""
    if settings.folder not in sys.path:
        sys.path.insert(0, settings.folder)
