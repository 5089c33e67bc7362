"""Whether code that a configuration names may run, and whether models at addresses that it names may be fetched: a
checkout of somebody else's must not run anything, or call anybody, unasked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.plain_files import MEGABYTE, read_plain

if TYPE_CHECKING:
    from xnnlint.config.settings import Settings


class Permission(Struct, frozen=True):
    """What a project's configuration may do only where the user allows it.

    Attributes:
        option, variable, key: of the command line, of the environment, and of the user's own settings.
        does: what it would do, behind what it names.
    """

    option: str
    variable: str
    key: str
    does: str


CODE = Permission("--allow-code", "XNNLINT_ALLOW_CODE", "allow-code", "would run code of this project")
REMOTE = Permission("--allow-remote", "XNNLINT_ALLOW_REMOTE", "allow-remote", "would use the network")
_given: set[Permission] = set()


def allow(permission: Permission) -> None:
    """Let this run's configuration do it: it was asked for on the command line."""
    _given.add(permission)


def ask(permission: Permission, target: str, settings: Settings, key: str) -> None:
    """Refuses what a configuration names, unless the user allows it.

    Args:
        target: "module:function", or an address.
        settings: those that name it.
        key: where in them.

    Raises:
        XnnlintError: neither the command line, nor the environment, nor the user's own settings allow it.
    """
    from xnnlint.config.files import COMMAND_LINE

    place = settings.sources[key].place
    if place == COMMAND_LINE or permission in _given or os.environ.get(permission.variable) == "1":
        return
    if _own_settings_allow(settings.folder, permission.key):
        return
    raise XnnlintError(
        f"{place}: {key}: {target!r} {permission.does}; where you trust it, give {permission.option}, set"
        f" {permission.variable}=1, or write `{permission.key} = [{settings.folder!r}]` to {own_settings()}"
    )


def own_settings() -> Path:
    """The user's own settings, which no project can change."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "xnnlint" / "settings.toml"


def _own_settings_allow(folder: str, key: str) -> bool:
    """Whether they allow it for a folder: with `true`, or by naming it or one above it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    place = own_settings()
    try:
        allowed = tomllib.loads(read_plain(place, MEGABYTE).decode("utf-8")).get(key)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError) as error:
        raise XnnlintError(f"{place}: your settings cannot be read: {error}") from None
    if isinstance(allowed, bool):
        return allowed
    if allowed is None:
        return False
    if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
        raise XnnlintError(f"{place}: {key} must be true, false, or a list of folders")
    here = Path(os.path.realpath(folder))
    return any(Path(os.path.realpath(Path(one).expanduser())) in (here, *here.parents) for one in allowed)
