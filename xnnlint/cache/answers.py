"""The store of what this user's checks have found out, and whether it is to be used."""

from __future__ import annotations

import os

from xnnlint.cache.place import cache_folder
from xnnlint.cache.store import Store

FOLDER, OFF, DEBUG = "XNNLINT_CACHE_DIR", "XNNLINT_NO_CACHE", "XNNLINT_DEBUG"


def store() -> Store:
    """The entries of this user, or of the folder that the environment names.

    No project's configuration can name the folder: a checkout must not bring answers of its own.
    """
    named = os.environ.get(FOLDER)
    return Store(os.path.join(named, "xnnlint-check") if named else str(cache_folder() / "check"))  # noqa: PTH118


def is_off() -> bool:
    """Whether the environment wants everything found out anew."""
    return os.environ.get(OFF, "") not in ("", "0") or bool(os.environ.get(DEBUG))
