"""Reads the part of HDF5 that Keras writes, from mapped memory, with bounds on everything that a file may claim.

Why not a library? Measured on MobileNetV2's legacy file (262 arrays), processor time on Python 3.11, numpy loaded:
- h5py 3.16: 0.05 s to import and 0.09 s to read, 17 MB installed; native code that a hostile file reaches.
- pyfive 1.3: 0.12 s and 0.06 s, but it needs Python 3.11, numpy 2 and numcodecs, copies what it reads, and answers
  damaged files with whatever error comes (MemoryError, AssertionError, KeyError); older releases are other code.
- This module: 0.02 s and 0.02 s, no dependency, views of the mapped file instead of copies, and a bound on every claim.

What it reads, after the "HDF5 File Format Specification Version 3.0" (The HDF Group): superblocks 0 to 3, object
headers 1 and 2, groups as symbol tables or compact links, attributes in object headers, contiguous and compact
datasets, and chunked ones under a version 1 B-tree with deflate, shuffle and checksums. Links that leave the file are
not followed.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_UNDEFINED = 0xFFFFFFFFFFFFFFFF
# Messages, links and tree nodes of one file: some thirty for each variable, so enough for 20,000 of them.
_MAX_STEPS = 600_000
_MAX_RANK = 32
# A chunked dataset is all that can grow in memory, beside one that was never written.
_MAX_UNPACKED = 1 << 27
_MAX_CHUNK = 1 << 25
_MAX_TEXT = 1 << 26

_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _LAYOUT, _FILTERS = 0x1, 0x2, 0x3, 0x6, 0x8, 0xB
_EXTERNAL_FILES = 0x7
_ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE, _ATTRIBUTE_INFO = 0xC, 0x10, 0x11, 0x15
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_REPACK = "save it again with Keras"


class Hdf5Error(Exception):
    """The file is damaged, or uses a part of HDF5 that Keras does not write; the text is half a sentence."""


class _Type(Struct, frozen=True):
    """A datatype: what numpy calls it, or why there is no such thing."""

    size: int
    numpy: str = ""
    text: bool = False
    vlen: bool = False


@dataclass(slots=True)
class Dataset:
    """An array in the file; nothing of it is read before `read`.

    Attributes:
        offset: where its bytes lie in the file if they lie in one piece, else None.
    """

    file: File = field(repr=False)
    shape: tuple[int, ...]
    type: _Type
    offset: int | None
    node: Node = field(repr=False)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.type.size

    def read(self) -> np.ndarray:
        """The values: a read-only view of the file where they lie there in one piece and unpacked.

        Raises:
            Hdf5Error: they are damaged, or stored in a way that is not known here.
        """
        return _read_dataset(self)


class Node:
    """A group or a dataset: its header's messages, read when they are asked for."""

    def __init__(self, file: File, address: int) -> None:
        self.file = file
        self.address = address

    @cached_property
    def messages(self) -> list[tuple[int, int, int]]:
        """(type, offset, size) of each."""
        return list(_messages(self.file, self.address))

    def message(self, kind: int) -> tuple[int, int] | None:
        return next(((offset, size) for type_, offset, size in self.messages if type_ == kind), None)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """By name: text and numbers as `str`, `bytes`, int or float, arrays as lists; others are left out."""
        if (info := self.message(_ATTRIBUTE_INFO)) is not None and _has_heap(self.file, info[0]):
            raise Hdf5Error(f"attributes are stored in a way that Keras does not use; {_REPACK}")
        found = {}
        for type_, offset, size in self.messages:
            if type_ == _ATTRIBUTE and (attribute := _attribute(self.file, offset, size)):
                found[attribute[0]] = attribute[1]
        return found

    @cached_property
    def links(self) -> dict[str, int]:
        """Addresses of the members of a group, by name; empty for a dataset."""
        table = self.message(_SYMBOL_TABLE)
        if table is not None:
            return dict(_symbol_table(self.file, table[0]))
        if (info := self.message(_LINK_INFO)) is not None and _has_heap(self.file, info[0], links=True):
            raise Hdf5Error(f"a group is stored in a way that Keras does not use; {_REPACK}")
        return dict(filter(None, (_link(self.file, o, s) for t, o, s in self.messages if t == _LINK)))

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def find(self, path: str) -> Node | None:
        """The member at a path below this group, or None."""
        node: Node = self
        for name in filter(None, path.split("/")):
            address = node.links.get(name)
            if address is None:
                return None
            node = self.file.node(address)
        return node

    @cached_property
    def dataset(self) -> Dataset:
        """This as a dataset.

        Raises:
            Hdf5Error: it is none, or is damaged.
        """
        return _dataset(self)


class File:
    """An HDF5 file in memory.

    Args:
        data: its bytes; views of them are handed out.

    Raises:
        Hdf5Error: it is not HDF5, or not one that is understood here.
    """

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.size = len(data)
        self._steps = 0
        self._characters = 0
        self._nodes: dict[int, Node] = {}
        self.heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self.root = self.node(self._root_address())

    def node(self, address: int) -> Node:
        if address not in self._nodes:
            self._nodes[address] = Node(self, address)
        return self._nodes[address]

    def _root_address(self) -> int:
        if bytes(self.data[:8]) != SIGNATURE:
            raise Hdf5Error("it is not an HDF5 file")
        version = self.u8(8)
        if version > 3:
            raise Hdf5Error(f"its superblock has version {version}, and versions up to 3 are known")
        sizes_at, base_at, end_at, root_at = {0: (13, 24, 40, 64), 1: (13, 28, 44, 68)}.get(version, (9, 12, 28, 36))
        if (self.u8(sizes_at), self.u8(sizes_at + 1)) != (8, 8):
            raise Hdf5Error("its addresses are not of 64 bits")
        if self.u64(base_at):
            raise Hdf5Error("it does not begin at its first byte")
        if (end := self.u64(end_at)) > self.size:
            raise Hdf5Error(f"{self.size:,} of {end:,} bytes are there: it is truncated")
        return self.u64(root_at)

    def step(self, count: int = 1) -> None:
        """Counts work, so that no file keeps the reader going for long."""
        self._steps += count
        if self._steps > _MAX_STEPS:
            raise Hdf5Error("it has more parts than this version reads")

    def spend(self, characters: int) -> None:
        """Counts text, since many attributes may share one."""
        self._characters += characters
        if self._characters > _MAX_TEXT:
            raise Hdf5Error("its attributes are larger than any model's")

    # Numbers and bytes, all within the file

    def _unpack(self, layout: struct.Struct, offset: int) -> int:
        if offset + layout.size > self.size:
            raise Hdf5Error(f"it refers to byte {offset:,}, past its end")
        return int(layout.unpack_from(self.data, offset)[0])

    def u8(self, offset: int) -> int:
        return self._unpack(_U8, offset)

    def u16(self, offset: int) -> int:
        return self._unpack(_U16, offset)

    def u32(self, offset: int) -> int:
        return self._unpack(_U32, offset)

    def u64(self, offset: int) -> int:
        return self._unpack(_U64, offset)

    def uint(self, offset: int, size: int) -> int:
        return int.from_bytes(self.view(offset, size), "little")

    def view(self, offset: int, size: int) -> memoryview:
        if offset + size > self.size:
            raise Hdf5Error(f"it refers to bytes {offset:,} to {offset + size:,}, past its end")
        return self.data[offset : offset + size]

    def expect(self, offset: int, signature: bytes) -> None:
        if bytes(self.view(offset, 4)) != signature:
            raise Hdf5Error(f"there is no {signature.decode()} at byte {offset:,}")

    def text(self, offset: int, limit: int) -> str:
        """A text that ends with a zero byte, of at most `limit` bytes."""
        stored = bytes(self.data[offset : min(offset + min(limit, 1 << 16), self.size)])
        return stored.split(b"\0", 1)[0].decode("utf8", "replace")


_U8, _U16, _U32, _U64 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<Q"))


# Object headers


def _messages(file: File, address: int) -> Iterator[tuple[int, int, int]]:
    modern = bytes(file.view(address, 4)) == b"OHDR"
    blocks: list[tuple[int, int]]
    if modern:
        flags = file.u8(address + 5)
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        head = 4 + (2 if flags & 4 else 0)
        blocks = [(start + width, file.uint(start, width))]
    else:
        if file.u8(address) != 1:
            raise Hdf5Error(f"there is no object at byte {address:,}")
        head = 8
        blocks = [(address + 16, file.u32(address + 8))]
    seen = set()
    while blocks:
        offset, size = blocks.pop(0)
        if offset in seen:
            raise Hdf5Error(f"the object at byte {address:,} contains itself")
        seen.add(offset)
        file.view(offset, size)
        end = offset + size
        while offset + head <= end:
            file.step()
            kind = file.u8(offset) if modern else file.u16(offset)
            length = file.u16(offset + (1 if modern else 2))
            flags = file.u8(offset + (3 if modern else 4))
            offset += head
            if offset + length > end:
                raise Hdf5Error(f"a message of the object at byte {address:,} is longer than its block")
            if kind == _CONTINUATION:
                place, extent = file.u64(offset), file.u64(offset + 8)
                if modern:
                    file.expect(place, b"OCHK")
                    place, extent = place + 4, extent - 8
                blocks.append((place, max(extent, 0)))
            elif kind and not flags & 2:
                yield kind, offset, length
            elif flags & 2 and kind in (_DATASPACE, _DATATYPE, _LAYOUT):
                raise Hdf5Error(f"a dataset shares its type with others, which Keras does not do; {_REPACK}")
            offset += length


# Groups


def _has_heap(file: File, offset: int, links: bool = False) -> bool:
    flags = file.u8(offset + 1)
    return file.u64(offset + 2 + ((8 if links else 2) if flags & 1 else 0)) != _UNDEFINED


def _link(file: File, offset: int, size: int) -> tuple[str, int] | None:
    end = offset + size
    flags = file.u8(offset + 1)
    at = offset + 2
    kind = 0
    if flags & 8:
        kind, at = file.u8(at), at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = file.uint(at, width)
    at += width
    if at + length + 8 > end or kind:
        # Soft and external links may lead anywhere; Keras makes none.
        return None
    return bytes(file.view(at, length)).decode("utf8", "replace"), file.u64(at + length)


def _symbol_table(file: File, offset: int) -> Iterator[tuple[str, int]]:
    tree, heap = file.u64(offset), file.u64(offset + 8)
    file.expect(heap, b"HEAP")
    names, names_size = file.u64(heap + 24), file.u64(heap + 8)
    file.view(names, names_size)
    for leaf, _ in _leaves(file, tree, 0, 8):
        file.expect(leaf, b"SNOD")
        for index in range(file.u16(leaf + 6)):
            file.step()
            entry = leaf + 8 + 40 * index
            name = file.u64(entry)
            if name >= names_size:
                raise Hdf5Error("a name lies outside its heap")
            if file.u32(entry + 16) != 2:  # 2 marks a soft link
                yield file.text(names + name, names_size - name), file.u64(entry + 8)


def _leaves(file: File, root: int, kind: int, key_size: int) -> Iterator[tuple[int, int]]:
    """(address, offset of the key) of each leaf of a version 1 B-tree."""
    pending: list[tuple[int, int | None]] = [(root, None)]
    while pending:
        address, above = pending.pop()
        file.expect(address, b"TREE")
        level, count = file.u8(address + 5), file.u16(address + 6)
        if file.u8(address + 4) != kind or (above is not None and level >= above):
            raise Hdf5Error(f"the tree at byte {address:,} is damaged")
        step = key_size + 8
        file.view(address + 24, count * step)
        file.step(count + 1)
        entries = [(file.u64(address + 24 + i * step + key_size), address + 24 + i * step) for i in range(count)]
        if level:
            pending += [(child, level) for child, _ in reversed(entries)]
        else:
            yield from entries


# Types and shapes


def _shape(file: File, offset: int) -> tuple[int, ...] | None:
    """None for a null dataspace."""
    version, rank = file.u8(offset), file.u8(offset + 1)
    if version not in (1, 2) or rank > _MAX_RANK:
        raise Hdf5Error(f"a shape at byte {offset:,} is damaged")
    if version == 2 and file.u8(offset + 3) == 2:
        return None
    start = offset + (8 if version == 1 else 4)
    shape = tuple(file.u64(start + 8 * axis) for axis in range(rank))
    if math.prod(max(size, 1) for size in shape) >= 1 << 48:
        raise Hdf5Error(f"it claims an array of shape {list(shape)}")
    return shape


def _type(file: File, offset: int) -> _Type:
    kind, size = file.u8(offset) & 15, file.u32(offset + 4)
    order = ">" if file.u8(offset + 1) & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return _Type(size, f"{order}{'i' if file.u8(offset + 1) & 8 else 'u'}{size}")
    if kind == 1 and size in (2, 4, 8):
        # bfloat16 has 8 bits of exponent; numpy has no such type, so that its bits are handed out.
        return _Type(size, f"{order}u2" if size == 2 and file.u8(offset + 13) == 8 else f"{order}f{size}")
    if kind == 3 and size:
        return _Type(size, f"S{size}", text=True)
    if kind == 5 and size == 2:
        return _Type(2, "<u2")  # ml_dtypes' bfloat16, as h5py stores it
    if kind == 8 and size == 1:
        return _Type(1, "u1")  # h5py's bool
    if kind == 9:
        return _Type(16, text=bool(file.u8(offset + 1) & 15), vlen=True)
    return _Type(max(size, 1))


# Attributes


def _attribute(file: File, offset: int, size: int) -> tuple[str, Any] | None:
    version, flags = file.u8(offset), file.u8(offset + 1)
    name_size, type_size, space_size = (file.u16(offset + at) for at in (2, 4, 6))
    at = offset + (9 if version == 3 else 8)
    if version not in (1, 2, 3):
        raise Hdf5Error(f"an attribute at byte {offset:,} is damaged")

    def padded(length: int) -> int:
        return length + (-length % 8 if version == 1 else 0)

    name = file.text(at, name_size)
    type_at = at + padded(name_size)
    space_at = type_at + padded(type_size)
    data_at = space_at + padded(space_size)
    if version > 1 and flags & 3:
        return None
    if data_at > offset + size:
        raise Hdf5Error(f"the attribute {name!r} is damaged")
    type_, shape = _type(file, type_at), _shape(file, space_at)
    if shape is None or not (type_.numpy or (type_.vlen and type_.text)):
        return None
    count = math.prod(shape)
    if data_at + count * type_.size > offset + size:
        raise Hdf5Error(f"the attribute {name!r} is longer than its block")
    values = _strings(file, data_at, count) if type_.vlen else _plain(file, type_, data_at, count)
    return name, values if shape else values[0]


def _plain(file: File, type_: _Type, offset: int, count: int) -> list[Any]:
    data = file.view(offset, count * type_.size)
    file.step(count)
    if type_.text:
        pieces = (bytes(data[at : at + type_.size]) for at in range(0, len(data), type_.size))
        return [piece.rstrip(b"\0 ").decode("utf8", "replace") for piece in pieces]
    import numpy as np

    return list(np.frombuffer(data, type_.numpy, count).tolist())


def _strings(file: File, offset: int, count: int) -> list[str]:
    """Texts of any length: each a length, and the place of its bytes in a global heap."""
    found = []
    for at in range(offset, offset + 16 * count, 16):
        length, heap, index = file.u32(at), file.u64(at + 4), file.u32(at + 12)
        file.spend(length)
        found.append(bytes(_heap_object(file, heap, index, length)).rstrip(b"\0").decode("utf8", "replace"))
    return found


def _heap_object(file: File, heap: int, wanted: int, length: int) -> memoryview:
    if not length:
        return memoryview(b"")
    if heap not in file.heaps:
        file.heaps[heap] = _heap(file, heap)
    if wanted not in file.heaps[heap]:
        raise Hdf5Error(f"a text is missing from the heap at byte {heap:,}")
    offset, size = file.heaps[heap][wanted]
    return file.view(offset, min(length, size))


def _heap(file: File, heap: int) -> dict[int, tuple[int, int]]:
    """Offset and size of each object of a global heap, by its number."""
    file.expect(heap, b"GCOL")
    end = heap + file.u64(heap + 8)
    found = {}
    at = heap + 16
    while at + 16 <= end and (index := file.u16(at)):
        file.step()
        size = file.u64(at + 8)
        found[index] = at + 16, size
        at += 16 + size + -size % 8
    return found


# Datasets


def _dataset(node: Node) -> Dataset:
    file = node.file
    space, type_at, layout = (node.message(kind) for kind in (_DATASPACE, _DATATYPE, _LAYOUT))
    if space is None or type_at is None or layout is None:
        raise Hdf5Error(f"there is no dataset at byte {node.address:,}")
    shape = _shape(file, space[0])
    dataset = Dataset(file, (0,) if shape is None else shape, _type(file, type_at[0]), None, node)
    if node.message(_EXTERNAL_FILES) is not None:
        raise Hdf5Error(f"a dataset keeps its data in another file, which is not read; {_REPACK}")
    kind, place, size = _storage(file, layout[0])
    if kind == 1 and place == _UNDEFINED:
        return dataset
    if kind < 2:
        if size < dataset.nbytes or place + dataset.nbytes > file.size:
            raise Hdf5Error(f"an array of shape {list(dataset.shape)} is cut short at byte {place:,}")
        dataset.offset = place
    return dataset


def _storage(file: File, layout: int) -> tuple[int, int, int]:
    """Class (0 in the header, 1 in one piece, 2 in chunks), offset and size of the data."""
    version = file.u8(layout)
    if version in (3, 4):
        kind = file.u8(layout + 1)
        if kind == 0:
            return 0, layout + 4, file.u16(layout + 2)
        if kind == 1:
            return 1, file.u64(layout + 2), file.u64(layout + 10)
        return kind, 0, 0
    if version in (1, 2):
        rank, kind = file.u8(layout + 1), file.u8(layout + 2)
        if kind == 1:
            # The size is that of the array.
            return 1, file.u64(layout + 8), _UNDEFINED
        if kind == 0:
            return 0, layout + 12 + 4 * rank, file.u32(layout + 8 + 4 * rank)
    raise Hdf5Error(f"a dataset is stored in a way that Keras does not use; {_REPACK}")


def _read_dataset(dataset: Dataset) -> np.ndarray:
    import numpy as np

    if not dataset.type.numpy:
        raise Hdf5Error("a dataset holds something else than numbers or text")
    dtype = np.dtype(dataset.type.numpy)
    count = math.prod(dataset.shape)
    if dataset.offset is not None:
        return np.frombuffer(dataset.file.data, dtype, count, dataset.offset).reshape(dataset.shape)
    layout = dataset.node.message(_LAYOUT)
    assert layout is not None
    if _storage(dataset.file, layout[0])[0] == 1:
        _refuse_giants(dataset)
        # Never written: zeros, which take no memory here.
        return np.broadcast_to(np.zeros((), dtype), dataset.shape)
    return _read_chunks(dataset, layout[0], dtype)


def _refuse_giants(dataset: Dataset) -> None:
    if dataset.nbytes > _MAX_UNPACKED:
        raise Hdf5Error(f"an array takes {dataset.nbytes:,} bytes unpacked; the limit is {_MAX_UNPACKED:,}")


def _read_chunks(dataset: Dataset, layout: int, dtype: np.dtype) -> np.ndarray:
    import numpy as np

    file, rank = dataset.file, len(dataset.shape)
    if file.u8(layout) != 3 or file.u8(layout + 1) != 2 or file.u8(layout + 2) != rank + 1 or not rank:
        raise Hdf5Error(f"a dataset is stored in a way that Keras does not use; {_REPACK}")
    _refuse_giants(dataset)
    tree = file.u64(layout + 3)
    chunk = tuple(file.u32(layout + 11 + 4 * axis) for axis in range(rank))
    chunk_bytes = math.prod(chunk) * dtype.itemsize
    if not 0 < chunk_bytes <= _MAX_CHUNK:
        raise Hdf5Error(f"a dataset has chunks of shape {list(chunk)}")
    filters = _filters(dataset.node)
    values = np.zeros(dataset.shape, dtype)
    if tree == _UNDEFINED:
        return values
    room = math.prod(-(-size // step) for size, step in zip(dataset.shape, chunk, strict=True))
    for address, key in _leaves(file, tree, 1, 8 + 8 * (rank + 1)):
        room -= 1
        if room < 0:
            raise Hdf5Error("a dataset has more chunks than it has room for")
        stored, mask = file.u32(key), file.u32(key + 4)
        start = [file.u64(key + 8 + 8 * axis) for axis in range(rank)]
        data = _unfilter(file.view(address, stored), filters, mask, chunk_bytes, dtype.itemsize)
        block = np.frombuffer(data, dtype, math.prod(chunk)).reshape(chunk)
        where = tuple(
            slice(first, min(first + size, end)) for first, size, end in zip(start, chunk, dataset.shape, strict=True)
        )
        if any(place.start >= place.stop for place in where):
            raise Hdf5Error("a chunk lies outside its dataset")
        values[where] = block[tuple(slice(0, place.stop - place.start) for place in where)]
    values.flags.writeable = False
    return values


def _filters(node: Node) -> list[int]:
    message = node.message(_FILTERS)
    if message is None:
        return []
    file, (at, _) = node.file, message
    version, count = file.u8(at), file.u8(at + 1)
    at += 8 if version == 1 else 2
    found = []
    for _ in range(count):
        code = file.u16(at)
        if code not in (_DEFLATE, _SHUFFLE, _CHECKSUM):
            raise Hdf5Error(f"a dataset is packed with filter {code}, which this version does not unpack; {_REPACK}")
        found.append(code)
        named = version == 1 or code >= 256
        name_size = file.u16(at + 2) if named else 0
        values = file.u16(at + (6 if named else 4))
        at += (8 if named else 6) + name_size + -name_size % 8 + 4 * (values + (values % 2 if version == 1 else 0))
    return found


def _unfilter(data: memoryview, filters: list[int], mask: int, size: int, itemsize: int) -> bytes | memoryview:
    import numpy as np

    result: bytes | memoryview = data
    for index, code in reversed(list(enumerate(filters))):
        if mask >> index & 1:
            continue
        if code == _DEFLATE:
            try:
                # Whatever a chunk claims, it unpacks to no more than its size and a checksum.
                result = zlib.decompressobj().decompress(result, size + 4)
            except zlib.error as error:
                raise Hdf5Error(f"a packed chunk is damaged ({error})") from None
        elif code == _CHECKSUM:
            result = result[:-4]
        else:
            count = len(result) // itemsize
            planes = np.frombuffer(result, np.uint8, count * itemsize).reshape(itemsize, count)
            result = planes.T.tobytes() + bytes(result[count * itemsize :])
    if len(result) < size:
        raise Hdf5Error(f"a chunk has {len(result):,} of {size:,} bytes")
    return result
