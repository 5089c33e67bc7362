"""Whether code that a configuration names may run: a checkout of somebody else's must not run anything unasked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError
from xnnlint.plain_files import MEGABYTE, read_plain

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings

OPTION, VARIABLE, KEY = "--allow-code", "XNNLINT_ALLOW_CODE", "allow-code"
_given: set[str] = set()


def allow() -> None:
    """Let this run's configuration name code: it was asked for on the command line."""
    _given.add(OPTION)


def ask_to_run(target: str, settings: Settings, key: str) -> None:
    """Refuses to run what a configuration names, unless the user allows it.

    Args:
        target: "module:function".
        settings: those that name it.
        key: where in them.

    Raises:
        XnnlintError: neither the command line, nor the environment, nor the user's own settings allow it.
    """
    from xnnlint.config.files import COMMAND_LINE

    place = settings.sources[key].place
    if place == COMMAND_LINE or _given or os.environ.get(VARIABLE) == "1" or _own_settings_allow(settings.folder):
        return
    raise XnnlintError(
        f"{place}: {key}: {target!r} would run code of this project; where you trust it, give {OPTION}, set"
        f" {VARIABLE}=1, or write `{KEY} = [{settings.folder!r}]` to {own_settings()}"
    )


def own_settings() -> Path:
    """The user's own settings, which no project can change."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "xnnlint" / "settings.toml"


def _own_settings_allow(folder: str) -> bool:
    """Whether they allow code for a folder: with `true`, or by naming it or one above it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    place = own_settings()
    try:
        allowed = tomllib.loads(read_plain(place, MEGABYTE).decode("utf-8")).get(KEY)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError) as error:
        raise XnnlintError(f"{place}: your settings cannot be read: {error}") from None
    if isinstance(allowed, bool):
        return allowed
    if allowed is None:
        return False
    if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
        raise XnnlintError(f"{place}: {KEY} must be true, false, or a list of folders")
    here = Path(os.path.realpath(folder))
    return any(Path(os.path.realpath(Path(one).expanduser())) in (here, *here.parents) for one in allowed)
