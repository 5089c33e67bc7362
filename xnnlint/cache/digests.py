"""Digests of what entries stand for, and of entries."""

from __future__ import annotations

try:
    # hashlib loads OpenSSL first, which takes longer than digesting a small model.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


def new_digest(data: bytes = b"") -> blake2b:
    """A digest to add to; 128 bits, which nothing meets by chance."""
    return blake2b(data, digest_size=16)


def digest_of(data: bytes) -> str:
    return new_digest(data).hexdigest()
