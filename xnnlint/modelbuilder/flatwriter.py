"""Writes trees of TFLite schema tables to flatbuffer bytes, with nothing but the `tflite` package.

`tflite` has the low-level writer of every schema table (`tflite.Conv2DOptionsStart`, `...AddStrideW`, `...End`) but no
object API. A `Table` names the schema table and its fields; `serialize` walks the tree, children first, as flatbuffers
needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

import flatbuffers
import numpy as np
import tflite

FILE_IDENTIFIER = b"TFL3"
# tensorflow/lite/schema/schema.fbs: Buffer.data is force_align: 16.
BUFFER_ALIGNMENT = 16

FieldValue: TypeAlias = Union[int, float, bool, str, bytes, np.ndarray, "Table", Sequence["Table"], None]


@dataclass
class Table:
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
    """A value of one of the schema's enumerations, e.g. `enum_value("Padding", "SAME")`."""
    return int(getattr(getattr(tflite, kind), name))


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
    getattr(tflite, f"{node.kind}Start")(builder)
    for name, value in written.items():
        getattr(tflite, f"{node.kind}Add{_camel(name)}")(builder, value)
    return int(getattr(tflite, f"{node.kind}End")(builder))


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


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
