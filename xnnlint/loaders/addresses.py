"""Addresses such as `s3://bucket/net.tflite`: which there are, and what to call a model that is at one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from xnnlint.errors import ModelError
from xnnlint.loaders.globs import WILD

PACKAGES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "https": "aiohttp",
    "http": "aiohttp",
    "hf": "huggingface_hub",
    "memory": "",
}
"""What can be read: the scheme, and its package beside fsspec. `memory` is what this process put there."""
IN_EXTRA = ("fsspec", "s3fs", "aiohttp")
"""Packages that the extra `remote` brings."""
WEB = ("http", "https")
GOOGLE = ("gs", "gcs")
LIMIT_KEY, MOST_MEGABYTES = "remote-max-megabytes", 2048
"""Up to which size a model is fetched: the key, and its default. A .tflite file has 2 GB at most."""
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HERE = ("localhost", "127.0.0.1", "::1")


def is_address(path: str) -> bool:
    """Whether a path is the address of something, and no file."""
    return _ADDRESS.match(path) is not None


def scheme_of(address: str) -> str:
    return address.partition("://")[0].lower()


def refuse(address: str) -> None:
    """Raises:
    ModelError: nothing is read from such an address.
    """
    scheme = scheme_of(address)
    if scheme not in PACKAGES:
        known = "s3://, gs://, https:// and hf:// are read"
        raise ModelError(shown(address), f"{scheme}:// is no address that models are read from", known)
    if scheme == "http" and urlsplit(address).hostname not in _HERE:
        problem = "over http:// anybody on the way can change a model"
        raise ModelError(shown(address), problem, "give its https:// address")


def shown(address: str) -> str:
    """What to call it in reports: without the password or the signature that an address of the web can hold."""
    if scheme_of(address) not in WEB:
        return address
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    path = re.sub(r"[?#].*", "", path, flags=re.DOTALL)
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def is_pattern(address: str) -> bool:
    """Whether it stands for what it matches. On the web, `?` begins a query."""
    scheme, _, rest = address.partition("://")
    return "*" in rest if scheme.lower() in WEB else WILD.search(rest) is not None
