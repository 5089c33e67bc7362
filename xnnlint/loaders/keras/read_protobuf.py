"""Reads protocol buffer messages field by field, every read bounded by the message."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable

# Nodes of the largest graph of objects, and then some.
_MAX_FIELDS = 200_000


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field: an integer, or a view of its bytes.

    Raises:
        Unreadable: the message is damaged.
    """
    at, end, count = 0, len(message), 0
    while at < end:
        count += 1
        if count > _MAX_FIELDS:
            raise Unreadable("a message has more parts than any model's", DAMAGED)
        key, at = varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise Unreadable("a message is damaged", DAMAGED)
        if at + size > end:
            raise Unreadable("a message is cut short", DAMAGED)
        yield key >> 3, message[at : at + size]
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Unreadable("a number in a message is damaged", DAMAGED)


def text(value: int | memoryview) -> str:
    return "" if isinstance(value, int) else bytes(value).decode("utf8", "replace")


def number(value: int | memoryview) -> int:
    """An integer, or one of fixed size."""
    return value if isinstance(value, int) else int.from_bytes(value, "little")


def view(value: int | memoryview) -> memoryview:
    return memoryview(b"") if isinstance(value, int) else value
