"""Reads the variables of a TensorFlow checkpoint: an index of names, and shards with the values.

The index is a table of sorted keys in the manner of LevelDB (table_format.md and block.cc of google/leveldb; TensorFlow
writes it uncompressed), its values are BundleEntryProto messages (tensor_bundle.proto of tensorflow/tensorflow), and
one of the variables is the graph of objects that says which variable belongs to what (trackable_object_graph.proto).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from xnnlint.errors import ModelError
from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable
from xnnlint.loaders.keras.read_mapped import map_file
from xnnlint.loaders.keras.read_protobuf import fields, number, text, varint, view
from xnnlint.loaders.keras.read_variables import widen

if TYPE_CHECKING:
    import numpy as np

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_MAX_VARIABLES = 100_000
_MAX_KEYS = 16 << 20
_MAX_RANK = 32
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_BFLOAT16 = 14
# DataType (types.proto) -> numpy.
_TYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", _BFLOAT16: "<u2", 17: "<u2", 19: "<f2",
    22: "<u4", 23: "<u8",
}  # fmt: skip


class _Entry(Struct, frozen=True):
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


class Bundle:
    """A checkpoint.

    Args:
        prefix: its path without ".index".

    Raises:
        Unreadable: it is missing or damaged.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.shards = 1
        self.entries: dict[str, _Entry] = {}
        for key, value in _table(map_file(f"{prefix}.index")):
            if key:
                self.entries[key] = _entry(value)
            else:
                self.shards = next((number(part) for field, part in fields(value) if field == 1), 1)
        self._data: dict[int, memoryview] = {}

    def read(self, key: str) -> np.ndarray:
        """A variable's values: a read-only view of the file.

        Raises:
            Unreadable: it is missing or damaged, or holds no numbers.
        """
        import numpy as np

        entry = self.entries.get(key)
        if entry is None or entry.dtype not in _TYPES:
            raise Unreadable(f"the variable {key!r} is missing or holds no numbers", DAMAGED)
        dtype = np.dtype(_TYPES[entry.dtype])
        if math.prod(entry.shape) * dtype.itemsize != entry.size:
            raise Unreadable(f"the variable {key!r} of shape {list(entry.shape)} has {entry.size:,} bytes", DAMAGED)
        values = np.frombuffer(self._bytes(entry, key), dtype).reshape(entry.shape)
        return widen(values) if entry.dtype == _BFLOAT16 else values

    def reader(self, path: str, key: str) -> Callable[[], np.ndarray]:
        """A function that reads a variable; its errors name the model at `path`."""

        def read() -> np.ndarray:
            try:
                return self.read(key)
            except Unreadable as fault:
                raise ModelError(path, fault.problem, fault.advice) from None

        return read

    def objects(self) -> Objects:
        """The graph of objects that were saved.

        Raises:
            Unreadable: there is none, or it is damaged.
        """
        entry = self.entries.get(_OBJECT_GRAPH)
        if entry is None:
            raise Unreadable("its checkpoint says nothing about the model's objects", DAMAGED)
        data = self._bytes(entry, _OBJECT_GRAPH)
        # A text is stored as its length, a checksum of that, and its bytes.
        size, at = varint(data, 0)
        if at + 4 + size > len(data):
            raise Unreadable("the graph of objects in its checkpoint is cut short", DAMAGED)
        return Objects(data[at + 4 : at + 4 + size])

    def _bytes(self, entry: _Entry, key: str) -> memoryview:
        if entry.shard not in self._data:
            if entry.shard >= self.shards:
                raise Unreadable(f"the variable {key!r} is in a file that there is not", DAMAGED)
            name = f"{self.prefix}.data-{entry.shard:05d}-of-{self.shards:05d}"
            if not Path(name).is_file():
                raise Unreadable(f"the file {Path(name).name} is missing", "copy all files of the model")
            # A checkpoint without any variable has an empty file.
            self._data[entry.shard] = map_file(name) if Path(name).stat().st_size else memoryview(b"")
        data = self._data[entry.shard]
        if entry.offset + entry.size > len(data):
            raise Unreadable(f"the variable {key!r} is cut short", "the file is truncated or damaged")
        return data[entry.offset : entry.offset + entry.size]


class Objects:
    """The graph of saved objects, in which a variable is found by the attributes that lead to it."""

    def __init__(self, message: memoryview) -> None:
        self._nodes = [view(value) for field, value in fields(message) if field == 1]
        self._children: dict[int, dict[str, int]] = {}
        self._keys: dict[int, str] = {}

    def children(self, node: int) -> dict[str, int]:
        """Numbers of a node's members, by name; the root is node 0."""
        if node not in self._children:
            self._children[node] = self._read_children(node)
        return self._children[node]

    def key(self, node: int) -> str:
        """A variable's key in the checkpoint, or "" for what is no variable."""
        if node not in self._keys:
            self._keys[node] = self._read_key(node)
        return self._keys[node]

    def variables(self, node: int) -> dict[str, str]:
        """Keys of a node's own variables, by name."""
        return {name: key for name, child in self.children(node).items() if (key := self.key(child))}

    def _read_children(self, node: int) -> dict[str, int]:
        found = {}
        for field, value in fields(self._node(node)):
            if field == 1:
                parts = dict(fields(view(value)))
                found[text(parts.get(2, 0))] = number(parts.get(1, 0))
        return found

    def _read_key(self, node: int) -> str:
        for field, value in fields(self._node(node)):
            if field == 2:
                parts = dict(fields(view(value)))
                if text(parts.get(1, 0)) == "VARIABLE_VALUE":
                    return text(parts.get(3, 0))
        return ""

    def _node(self, node: int) -> memoryview:
        if node >= len(self._nodes):
            raise Unreadable("the graph of objects in its checkpoint is damaged", DAMAGED)
        return self._nodes[node]


def _entry(message: memoryview) -> _Entry:
    dtype = shard = offset = size = 0
    shape: tuple[int, ...] = ()
    for field, value in fields(message):
        if field == 1:
            dtype = number(value)
        elif field == 2:
            shape = tuple(_dimension(view(part)) for inner, part in fields(view(value)) if inner == 2)
        elif field == 3:
            shard = number(value)
        elif field == 4:
            offset = number(value)
        elif field == 5:
            size = number(value)
        elif field == 7:
            # Slices of a variable, which training on several machines makes.
            dtype = 0
    if len(shape) > _MAX_RANK or math.prod(max(size, 1) for size in shape) >= 1 << 48:
        raise Unreadable("a variable in its checkpoint is damaged", DAMAGED)
    return _Entry(dtype, shape, shard, offset, size)


def _dimension(message: memoryview) -> int:
    return next((number(value) for field, value in fields(message) if field == 1), 0)


def _table(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[40:])[0] != _MAGIC:
        raise Unreadable("the index of its variables is damaged", DAMAGED)
    at = 0
    for _ in range(2):  # behind the handle of the index of meta blocks
        _, at = varint(footer, at)
    offset, at = varint(footer, at)
    size, _ = varint(footer, at)
    count = characters = 0
    for _, handle in _block(data, offset, size):
        start, at = varint(handle, 0)
        extent, _ = varint(handle, at)
        for key, value in _block(data, start, extent):
            count += 1
            characters += len(key)
            if count > _MAX_VARIABLES or characters > _MAX_KEYS:
                raise Unreadable("its checkpoint has more variables than any model", DAMAGED)
            yield key.decode("utf8", "replace"), value


def _block(data: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """The entries of a block, whose keys are stored as what differs from the one before."""
    if offset + size + 5 > len(data) or size < 4:
        raise Unreadable("the index of its variables is cut short", DAMAGED)
    if data[offset + size]:
        raise Unreadable("the index of its variables is compressed", "save the model again with TensorFlow")
    block = data[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 - 4 * restarts
    if end < 0:
        raise Unreadable("the index of its variables is damaged", DAMAGED)
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or at + own + length > end or shared + own > 1 << 16:
            raise Unreadable("the index of its variables is damaged", DAMAGED)
        key = key[:shared] + bytes(block[at : at + own])
        yield key, block[at + own : at + own + length]
        at += own + length
