"""Which files were checked as they are now: known before anything is imported that a check needs."""

from __future__ import annotations

import os

from xnnlint.cache.answers import is_off, store
from xnnlint.cache.fingerprints import stamps
from xnnlint.cache.store import key_of


def has(path: str) -> bool:
    """Whether an answer for a file was kept; it may not hold for what is asked now."""
    return not is_off() and store().has(mark_of(path))


def mark_of(path: str) -> str:
    """The key of the entry that says so."""
    return key_of(["seen", os.path.abspath(path), stamps(path)])  # noqa: PTH100
