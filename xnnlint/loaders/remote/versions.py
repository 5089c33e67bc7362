"""What tells the version of a file at an address from the next one, as its server says it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from xnnlint.loaders.remote.store import Store

# Each kind of server has some of them: S3 and the web; Google; Hugging Face; memory. What follows from the content is
# first, so that a copy of the same is the same.
_KEYS = ("ETag", "etag", "generation", "blob_id", "xet_hash", "Last-Modified", "LastModified", "created")


def version_of(entry: Mapping[str, Any]) -> str | None:
    """The version of a file, by what its server says of it; None where it says nothing of that."""
    return next((str(entry[key]) for key in _KEYS if entry.get(key)), None)


def version_of_all(versions: Mapping[str, str | None]) -> str | None:
    """One for all files of a folder, by their names."""
    if None in versions.values():
        return None
    return sha256(repr(sorted(versions.items())).encode()).hexdigest()


def version_at(address: str) -> str | None:
    """The version of the file that is at an address now; None of a folder, and where the server says none.

    Raises:
        ModelError: nothing is there, or the server does not answer.
    """
    store = Store(address)
    entry = store.ask(lambda: store.fs.info(store.name))
    return version_of(entry) if entry["type"] == "file" else None
