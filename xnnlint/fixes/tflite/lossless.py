"""What a .tflite file says, field by field, to see that an editor loses nothing of it.

The file is walked with the loader's own schema and bounds, not with the object API that shall be judged. What neither
knows is refused: a field of a newer schema, data behind the flatbuffer.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

from xnnlint.loaders.tflite import schema_tables as schema
from xnnlint.loaders.tflite.flatbuffer import Malformed, Reader

# Above this, a vector is told by its digest.
_LONG = 256


class Unknown(Exception):
    """The file holds something that an editor would lose; the text says what, as the end of a sentence."""


class Walk:
    """One pass over a file.

    Attributes:
        content: (path, value) of every field that is not its default, in the schema's order.
        end: where the flatbuffer ends.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reader = Reader(data, len(data))
        self.end = 8
        self.content = list(self._table("Model", self.reader.follow(0), "model"))

    def _table(self, name: str, position: int, path: str) -> Iterator[tuple[str, Any]]:
        offsets = self.reader.vtable(position)
        self.reader.spend(16)
        vtable = position - struct.unpack_from("<i", self.data, position)[0]
        self._reach(vtable + 4 + 2 * len(offsets), position + struct.unpack_from("<H", self.data, vtable + 2)[0])
        known = set()
        for key, field in schema.table(name).items() if schema.has_table(name) else ():
            known.add(field.slot)
            at = _at(offsets, field.slot)
            if field.type in _UNIONS:
                known.add(field.slot + 1)
                yield from self._union(field.type, position, (at, _at(offsets, field.slot + 1)), f"{path}.{key}")
            elif at:
                yield from self._field(field, position + at, f"{path}.{key}")
        strange = [slot for slot, offset in enumerate(offsets) if offset and slot not in known]
        if strange and not _is_deprecated(name, strange):
            raise Unknown(f"{name} has a field number {strange[0]}, which the known schema does not have")

    def _field(self, field: schema.Field, position: int, path: str) -> Iterator[tuple[str, Any]]:
        if field.format and not field.is_vector:
            value = self.data[position : position + struct.calcsize("<" + field.format)]
            self._reach(position + len(value))
            if struct.unpack("<" + field.format, value)[0] != field.default:
                yield path, value
            return
        start = self.reader.follow(position)
        if not field.is_vector and field.type != "string":
            yield path, field.type
            yield from self._table(field.type, start, path)
            return
        length = struct.unpack_from("<I", self.data, start)[0]
        width = struct.calcsize("<" + field.format) if field.format else 1 if field.type == "string" else 4
        end = start + 4 + length * width
        self._reach(end)
        if end > len(self.data):
            raise Malformed(f"{path} runs past the end of the file")
        if field.format or field.type == "string":
            if length:
                yield path, _told(memoryview(self.data)[start + 4 : end])
            return
        for index in range(length):
            item = f"{path}[{index}]"
            yield item, field.type
            yield from self._table(field.type, self.reader.follow(start + 4 + 4 * index), item)

    def _union(self, name: str, position: int, at: tuple[int, int], path: str) -> Iterator[tuple[str, Any]]:
        kind = self.data[position + at[0]] if at[0] else 0
        if not kind:
            return
        members = schema.union(name)
        if kind >= len(members):
            raise Unknown(f"{path} is of kind {kind}, which the known schema does not have")
        yield path, members[kind]
        if at[1]:
            yield from self._table(members[kind], self.reader.follow(position + at[1]), path)

    def _reach(self, *ends: int) -> None:
        self.end = max(self.end, *ends)


_UNIONS = ("BuiltinOptions", "BuiltinOptions2", "QuantizationDetails", "SparseIndexVector")
# Deprecated fields, which no runtime reads; the object API leaves them out.
_DEPRECATED = {"SignatureDef": {3}, "ResizeBilinearOptions": {0, 1}}


def _is_deprecated(name: str, slots: list[int]) -> bool:
    return set(slots) <= _DEPRECATED.get(name, set())


def _at(offsets: tuple[int, ...], slot: int) -> int:
    return offsets[slot] if slot < len(offsets) else 0


def _told(vector: memoryview) -> bytes:
    return bytes(vector) if len(vector) <= _LONG else hashlib.sha256(vector).digest() + struct.pack("<Q", len(vector))


def first_difference(before: Walk, after: Walk) -> str:
    """Where two files differ, or ""."""
    for one, other in zip(before.content, after.content, strict=False):
        if one != other:
            return one[0]
    if len(before.content) != len(after.content):
        longer = max(before.content, after.content, key=len)
        return str(longer[min(len(before.content), len(after.content))][0])
    return ""
