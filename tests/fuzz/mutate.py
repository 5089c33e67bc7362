"""Damages files: bytes of any, and the structure of those whose parts are known."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

from xnnlint.fixes.tflite import object_api
from xnnlint.loaders.keras.read_protobuf import fields, view

NUMBERS = (-1, 0, 1, 2, 3, 4, 5, 7, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, -(2**31), 10**6, 10**9)
LARGE = (2**32, 2**63 - 1, -(2**63), 2**64, 10**30)
TEXTS = ("", "x", "\0", "../x", "a" * 5000, "Conv2D", "Add", "same", "float16", "é\ud800", "-1")
MOST_CHANGES = 4
SAVED_MODEL = "savedmodel"
"""A folder, here as an archive of its files."""
METADATA = "keras_metadata.pb"
_METADATA_FIELD = 5


class Cannot(Exception):
    """This file has nothing of that kind to be changed."""


def mutated(data: bytes, kind: str, rng: random.Random) -> bytes:
    """A damaged copy: of its structure two times out of three, where that is known, else of its bytes."""
    structured = _STRUCTURED.get(kind)
    if kind == SAVED_MODEL:
        return _folder(data, rng)
    if structured is not None and rng.random() < 0.67:
        try:
            return structured(data, rng)
        except (Cannot, struct.error, ValueError, TypeError, OverflowError, AttributeError):
            pass  # What was changed cannot be written in this format.
    return _bytes(data, rng)


# Bytes


def _bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, MOST_CHANGES)):
        if not changed:
            break
        at = rng.randrange(len(changed))
        # Headers, tables and offsets stand at the ends of most formats.
        if rng.random() < 0.5:
            at = min(at, rng.randrange(4096)) if rng.random() < 0.7 else max(0, len(changed) - 1 - rng.randrange(4096))
        rng.choice(_BYTE_CHANGES)(changed, at, rng)
    return bytes(changed)


def _flip(data: bytearray, at: int, rng: random.Random) -> None:
    data[at] ^= 1 << rng.randrange(8)


def _number(data: bytearray, at: int, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    at -= at % size
    data[at : at + size] = (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, "little")


def _cut(data: bytearray, at: int, rng: random.Random) -> None:
    del data[at:]


def _gap(data: bytearray, at: int, rng: random.Random) -> None:
    del data[at : at + rng.randint(1, 64)]


def _again(data: bytearray, at: int, rng: random.Random) -> None:
    data[at:at] = data[at : at + rng.randint(1, 256)]


def _other(data: bytearray, at: int, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 64)]
    data[at : at + len(piece)] = piece


_BYTE_CHANGES = (_flip, _number, _cut, _gap, _again, _other, _flip, _number)

# .tflite files, by the schema


@cache
def _opened(data: bytes) -> object_api.Snapshot:
    """Read once: that takes longer than all the rest."""
    return object_api.Snapshot(object_api.read(data))


def _tflite(data: bytes, rng: random.Random) -> bytes:
    model = _opened(data).copy()
    for _ in range(rng.randint(1, MOST_CHANGES)):
        places = list(_fields(model))
        owner, name, value = rng.choice(places)
        setattr(owner, name, _changed(value, rng))
    return bytes(object_api.write(model, identifier=True))


def _fields(table: Any, depth: int = 0) -> Any:
    """(object, field, value) of a table and of those in it, weights left out."""
    for name, value in vars(table).items():
        if name == "data":
            continue
        yield table, name, value
        children = value if isinstance(value, list) else [value]
        for child in children:
            if hasattr(child, "__dict__") and depth < 8:
                yield from _fields(child, depth + 1)


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, (bool, int)):
        return rng.choice(NUMBERS) if rng.random() < 0.7 else value + rng.choice((-1, 1))
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    if isinstance(value, (str, bytes)):
        return rng.choice(TEXTS[:-2]).encode()
    if value is None:
        return None
    items = list(value) if hasattr(value, "__len__") else None
    if items is None:
        return None
    return _changed_list(items, rng)


def _changed_list(items: list[Any], rng: random.Random) -> list[Any] | None:
    way = rng.randrange(6)
    if not items or way == 0:
        return None if rng.random() < 0.5 else []
    at = rng.randrange(len(items))
    if way == 1:
        del items[at]
    elif way == 2:
        items.insert(at, copy.copy(items[at]))
    elif way == 3:
        other = rng.randrange(len(items))
        items[at], items[other] = items[other], items[at]
    elif way == 4 and not hasattr(items[at], "__dict__"):
        items[at] = rng.choice(NUMBERS)
    else:
        items[at] = items[rng.randrange(len(items))]
    return items


# JSON, alone and in archives


def _json(data: bytes, rng: random.Random) -> bytes:
    document = json.loads(data)
    for _ in range(rng.randint(1, MOST_CHANGES)):
        places = list(_places(document))
        if not places:
            raise Cannot
        owner, key = rng.choice(places)
        _change_json(document, owner, key, places, rng)
    return json.dumps(document).encode()


def _places(item: Any) -> Any:
    pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in pairs:
        yield item, key
        yield from _places(value)


def _change_json(document: Any, owner: Any, key: Any, places: list[Any], rng: random.Random) -> None:
    way = rng.randrange(7)
    if way == 0:
        del owner[key]
    elif way == 1:
        other, at = rng.choice(places)
        owner[key] = copy.deepcopy(other[at])
    elif way == 2 and isinstance(owner, list):
        owner.insert(key, copy.deepcopy(owner[key]))
    elif way == 3:
        owner[key] = rng.choice(NUMBERS + LARGE)
    elif way == 4:
        owner[key] = rng.choice((None, True, 1.5, [], {}, [[]], rng.choice(TEXTS)))
    elif isinstance(owner[key], bool) or not isinstance(owner[key], int):
        owner[key] = rng.choice((rng.choice(TEXTS), rng.choice(NUMBERS), [owner[key]], {"class_name": owner[key]}))
    else:
        owner[key] += rng.choice((-1, 1, 7, 10**6))


def _archive(data: bytes, rng: random.Random) -> bytes:
    """A .keras file: its config, or one of its members."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as sink:
        names = source.namelist()
        chosen = "config.json" if rng.random() < 0.8 else rng.choice(names)
        for name in names:
            member = source.read(name)
            if name == chosen:
                member = _json(member, rng) if name.endswith(".json") and rng.random() < 0.9 else _bytes(member, rng)
            sink.writestr(name, member)
    return result.getvalue()


# Folders of SavedModels, and the JSON in their protocol buffers


def _folder(data: bytes, rng: random.Random) -> bytes:
    """One of the files, which all stay files: the config in its metadata two times out of five."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as sink:
        names = [name for name in source.namelist() if source.getinfo(name).file_size]
        chosen = METADATA if rng.random() < 0.4 else rng.choice(names)
        for name in source.namelist():
            member = source.read(name)
            if name == chosen:
                member = _metadata(member, rng) if name == METADATA and rng.random() < 0.7 else _bytes(member, rng)
            sink.writestr(name, member)
    return result.getvalue()


def _metadata(message: bytes, rng: random.Random) -> bytes:
    """SavedMetadata, the JSON of one of its nodes changed."""
    nodes = list(fields(memoryview(message)))
    chosen = 0 if rng.random() < 0.8 else rng.randrange(len(nodes))  # The first is the outermost model.
    return b"".join(
        _field(number, _changed_node(value, rng) if at == chosen else value) for at, (number, value) in enumerate(nodes)
    )


def _changed_node(node: Any, rng: random.Random) -> bytes:
    parts = [(n, bytes(v) if isinstance(v, memoryview) else v) for n, v in fields(view(node))]
    return b"".join(_field(n, _json(v, rng) if n == _METADATA_FIELD and isinstance(v, bytes) else v) for n, v in parts)


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + bytes(value)


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)


_STRUCTURED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "tflite": _tflite,
    "json": _json,
    "keras": _archive,
}
