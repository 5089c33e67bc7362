"""Reading FlatBuffers tables from a file that nobody has verified.

A FlatBuffers file is a graph of offsets, and the published Python library follows them wherever they lead. Here every
read is bounded by the file, and the sum of all reads by a multiple of the file's size: a small file whose vectors
overlap could otherwise claim billions of tables. Every fault surfaces as one exception, `Malformed`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from xnnlint.loaders.tflite import schema_tables as schema

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

# What it means where a read of a few bytes fails.
OFFSET_OUTSIDE = "an offset points past the end of the file"

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")

# What a table costs of the budget. Real tables with what they refer to are larger, so that a file in which nothing
# overlaps never gets near its budget.
_TABLE_COST = 32
_MAX_TEXT = 1 << 16
_MAX_NUMBERS = 1 << 16


class Malformed(Exception):
    """A place in the file that cannot be read; the place's name grows on the way out, as "subgraph 0, tensor 7"."""

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.problem = problem
        self.place = place

    def at(self, place: str) -> Malformed:
        return Malformed(self.problem, f"{place}, {self.place}" if self.place else place)


def each(place: str, tables: Tables, read: Callable[[int, Table], T]) -> list[T]:
    """Calls `read(index, table)` for all tables; a fault in one is reported with the place and the table's index."""
    results: list[T] = []
    try:
        for index in range(len(tables)):
            results.append(read(index, tables[index]))
    except Malformed as fault:
        raise fault.at(f"{place} {len(results)}") from None
    except struct.error:
        raise Malformed(OFFSET_OUTSIDE, f"{place} {len(results)}") from None
    return results


class Reader:
    """A file's bytes and what reading them has cost so far.

    Args:
        data: the whole file, as an object with the buffer protocol.
        size: its length in bytes.
    """

    __slots__ = ("budget", "data", "size", "vtables")

    def __init__(self, data: Any, size: int) -> None:
        self.data = data
        self.size = size
        self.budget = 2 * size + (1 << 20)
        self.vtables: dict[int, tuple[int, ...]] = {}

    def root(self, name: str) -> Table:
        """The root table, whose offset is the file's first field."""
        if self.size < 8:
            raise Malformed("it is too short to hold a model")
        return Table(self, self.follow(0), schema.table(name))

    def follow(self, position: int) -> int:
        """The absolute position to which the offset stored at a position points."""
        return position + int(_U32.unpack_from(self.data, position)[0])

    def spend(self, cost: int) -> None:
        self.budget -= cost
        if self.budget < 0:
            raise Malformed("its tables and vectors overlap, so that they claim more than the file holds")

    def vtable(self, position: int) -> tuple[int, ...]:
        """The field offsets of a table by slot; tables of one kind usually share it."""
        at = position - _I32.unpack_from(self.data, position)[0]
        known = self.vtables.get(at)
        if known is not None:
            return known
        if at < 0 or at + 4 > self.size:
            raise Malformed("a table's description lies outside the file")
        length = _U16.unpack_from(self.data, at)[0]
        if length < 4 or length % 2 or at + length > self.size:
            raise Malformed(f"a table's description has the impossible length {length}")
        self.spend(length)
        offsets = struct.unpack_from(f"<{length // 2 - 2}H", self.data, at + 4)
        self.vtables[at] = offsets
        return offsets


class Table:
    """One table; fields are read by their name in the schema."""

    __slots__ = ("_fields", "_offsets", "_position", "_reader")

    def __init__(self, reader: Reader, position: int, fields: dict[str, schema.Field]) -> None:
        reader.spend(_TABLE_COST)
        self._reader = reader
        self._position = position
        self._offsets = reader.vtable(position)
        self._fields = fields

    def _locate(self, slot: int) -> int:
        """Where a field lies in the file, 0 if the table leaves it out."""
        if slot >= len(self._offsets):
            return 0
        offset = self._offsets[slot]
        return self._position + offset if offset else 0

    @property
    def position(self) -> int:
        """Where the table lies in the file."""
        return self._position

    def place(self, name: str) -> int:
        """Where a field lies in the file, 0 if the table leaves it out."""
        return self._locate(self._fields[name].slot)

    def has(self, name: str) -> bool:
        return self.place(name) != 0

    def scalar(self, name: str) -> Any:
        """A number or boolean, or its default; an enum as its number."""
        field = self._fields[name]
        position = self._locate(field.slot)
        if not position:
            return field.default if field.format != "?" else bool(field.default)
        return struct.unpack_from("<" + field.format, self._reader.data, position)[0]

    def enum(self, name: str) -> str:
        """An enum's value by name, or TYPE_n where the schema does not know it."""
        return _enum_name(self._fields[name].type, self.scalar(name))

    def text(self, name: str) -> str:
        """A string, "" where there is none; bytes that are not UTF-8 are replaced."""
        span = self.span(name, 1)
        if span is None:
            return ""
        start, length = span
        if length > _MAX_TEXT:
            raise Malformed(f"the text '{name}' claims {length:,} bytes")
        self._reader.spend(length)
        return bytes(self._reader.data[start : start + length]).decode("utf-8", "replace")

    def span(self, name: str, width: int | None = None) -> tuple[int, int] | None:
        """Position and number of elements of a vector, or None; all of it is inside the file.

        Args:
            name: the field.
            width: bytes of an element, as in the schema unless given.
        """
        field = self._fields[name]
        position = self._locate(field.slot)
        if not position:
            return None
        reader = self._reader
        start = reader.follow(position)
        length = _U32.unpack_from(reader.data, start)[0]
        if width is None:
            width = struct.calcsize("<" + field.format) if field.format else 4
        if start + 4 + length * width > reader.size:
            raise Malformed(f"'{name}' claims {length:,} elements, which run past the end of the file")
        return start + 4, length

    def numbers(self, name: str) -> tuple[Any, ...]:
        """A short vector of numbers, () where there is none."""
        span = self.span(name)
        if span is None:
            return ()
        start, length = span
        if length > _MAX_NUMBERS:
            raise Malformed(f"'{name}' claims {length:,} elements")
        self._reader.spend(8 * length)
        return struct.unpack_from(f"<{length}{self._fields[name].format}", self._reader.data, start)

    def array(self, name: str) -> np.ndarray | None:
        """A vector of numbers of any length, as a view of the file; None where there is none."""
        import numpy as np

        span = self.span(name)
        if span is None:
            return None
        dtype = np.dtype("<" + self._fields[name].format)
        start, length = span
        return np.frombuffer(self._reader.data, dtype, length, start) if length else np.empty(0, dtype)

    def table(self, name: str) -> Table | None:
        """A nested table, or None."""
        field = self._fields[name]
        position = self._locate(field.slot)
        if not position:
            return None
        return Table(self._reader, self._reader.follow(position), schema.table(field.type))

    def union(self, name: str) -> tuple[str, Table | None]:
        """The name of a union's member and its table; ("NONE", None) where there is none.

        The table is None too for members without fields, and for those that the schema does not know.
        """
        field = self._fields[name]
        at = self._locate(field.slot)
        number = self._reader.data[at : at + 1][0] if 0 < at < self._reader.size else 0
        members = schema.union(field.type)
        member = members[number] if number < len(members) else f"{field.type}_{number}"
        position = self._locate(field.slot + 1)
        if not number or not position or not schema.has_table(member):
            return member, None
        return member, Table(self._reader, self._reader.follow(position), schema.table(member))

    def tables(self, name: str) -> Tables:
        """A vector of tables, read one by one as they are asked for."""
        start, length = self.span(name) or (0, 0)
        return Tables(self._reader, start, length, schema.table(self._fields[name].type))

    def as_dict(self) -> dict[str, Any]:
        """All fields by name: enums by name, vectors as tuples, defaults where the file leaves a field out."""
        return {name: self._value(name, field) for name, field in self._fields.items()}

    def _value(self, name: str, field: schema.Field) -> Any:
        if field.type == "string":
            return self.text(name)
        if field.is_vector:
            values = self.numbers(name)
            return tuple(_enum_name(field.type, v) for v in values) if schema.is_enum(field.type) else values
        return self.enum(name) if schema.is_enum(field.type) else self.scalar(name)


class Tables:
    """A vector of tables."""

    __slots__ = ("_fields", "_length", "_reader", "_start")

    def __init__(self, reader: Reader, start: int, length: int, fields: dict[str, schema.Field]) -> None:
        self._reader = reader
        self._start = start
        self._length = length
        self._fields = fields

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Table:
        if not 0 <= index < self._length:
            raise IndexError(index)
        reader = self._reader
        return Table(reader, reader.follow(self._start + 4 * index), self._fields)


def defaults(name: str) -> dict[str, Any]:
    """What `Table.as_dict` gives for a table of which every field is left out."""
    return {key: _default(field) for key, field in schema.table(name).items()}


def _default(field: schema.Field) -> Any:
    if field.type == "string":
        return ""
    if field.is_vector:
        return ()
    if schema.is_enum(field.type):
        return _enum_name(field.type, field.default)
    return bool(field.default) if field.format == "?" else field.default


def _enum_name(type_: str, number: int) -> str:
    names = schema.enum(type_)
    return names[number] if 0 <= number < len(names) else f"{type_}_{number}"
