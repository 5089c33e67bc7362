"""Writes trees of TFLite schema tables to flatbuffer bytes, by the schema that the loader reads them by.

A `Table` names the schema table and its fields; `serialize` walks the tree, children first, as flatbuffers needs it.
That the bytes mean what they should is what LiteRT says in the tests, not the loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, Union

import flatbuffers
import numpy as np
from msgspec import Struct, field

from xnnlint.loaders.tflite import schema_tables as schema

FILE_IDENTIFIER = b"TFL3"
# tensorflow/lite/schema/schema.fbs: Buffer.data is force_align: 16.
BUFFER_ALIGNMENT = 16

# struct format of a scalar -> the builder's method that puts one into a table.
_SLOT_WRITERS = {
    "?": "Bool", "b": "Int8", "B": "Uint8", "i": "Int32", "I": "Uint32", "q": "Int64", "Q": "Uint64", "f": "Float32",
}  # fmt: skip

FieldValue: TypeAlias = Union[int, float, bool, str, bytes, np.ndarray, "Table", Sequence["Table"], None]


class Table(Struct):
    """One table of the TFLite schema.

    Args:
        kind: the table's name in the schema, e.g. `Conv2DOptions`.
        fields: its fields in snake case as in the schema, e.g. `stride_w`; a numpy array is a vector of scalars, a
            sequence of tables a vector of tables, `None` an absent field.
    """

    kind: str
    fields: dict[str, FieldValue] = field(default_factory=dict)


def table(kind: str, **fields: FieldValue) -> Table:
    """Short form of `Table(kind, {...})`."""
    return Table(kind, fields)


def enum_value(kind: str, name: str) -> int:
    """The number of a name in one of the schema's enumerations or unions, e.g. `enum_value("Padding", "SAME")`."""
    names = schema.enum(kind) if schema.is_enum(kind) else schema.union(kind)
    return names.index(name)


def serialize(root: Table, identifier: bytes | None = FILE_IDENTIFIER) -> bytes:
    """The flatbuffer whose root is `root`; `identifier=None` leaves the four identifying bytes out."""
    builder = flatbuffers.Builder(4096)
    position = _write_table(builder, root)
    if identifier is None:
        builder.Finish(position)
    else:
        builder.Finish(position, file_identifier=identifier)
    return bytes(builder.Output())


def _write_table(builder: flatbuffers.Builder, node: Table) -> int:
    written = {name: _write_child(builder, value) for name, value in node.fields.items() if value is not None}
    fields = schema.table(node.kind) if schema.has_table(node.kind) else {}
    # Unused slots at the end are not written.
    builder.StartObject(2 + max((field.slot for field in fields.values()), default=0))
    for name, value in written.items():
        _write_field(builder, fields, name, value)
    return int(builder.EndObject())


def _write_field(builder: flatbuffers.Builder, fields: dict[str, schema.Field], name: str, value: float) -> None:
    union = fields.get(name.removesuffix("_type"))
    if name not in fields and union is not None and schema.is_union(union.type):
        builder.PrependUint8Slot(union.slot, value, 0)
        return
    field = fields[name]
    if field.format and not field.is_vector:
        getattr(builder, f"Prepend{_SLOT_WRITERS[field.format]}Slot")(field.slot, value, field.default)
    else:
        # Of a union's two slots the first one says which table it is.
        builder.PrependUOffsetTRelativeSlot(field.slot + schema.is_union(field.type), value, 0)


def _write_child(builder: flatbuffers.Builder, value: FieldValue) -> int | float | bool:
    """Scalars are returned as they are; everything else is written and becomes an offset."""
    if isinstance(value, (bool, int, float, np.integer)):
        return value
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return _write_bytes(builder, value)
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value)) if value.size else _empty_vector(builder, value.itemsize)
    if isinstance(value, Table):
        return _write_table(builder, value)
    assert value is not None
    offsets = [_write_table(builder, item) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _write_bytes(builder: flatbuffers.Builder, data: bytes) -> int:
    builder.StartVector(1, len(data), BUFFER_ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def _empty_vector(builder: flatbuffers.Builder, itemsize: int) -> int:
    builder.StartVector(itemsize, 0, itemsize)
    return int(builder.EndVector())
