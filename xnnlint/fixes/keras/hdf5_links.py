"""Puts groups and datasets into an HDF5 file and gives members of a group other names; what is there keeps its bytes.

New objects go to the file's end. A group whose members change gets a new header, tree and heap there, and the entry
that leads to it is set to the new address; old weights stay where they are, and are found under their new names.
h5py is not used for the reason given in hdf5_text.py. After the HDF5 File Format Specification 3.0: III.A.1 (version 1
B-trees), III.B and III.C (symbol table nodes and entries), III.D (local heaps), IV.A.1.a (object headers) and IV.A.2
(messages: dataspace, datatype, fill value, data layout, attribute, symbol table).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_hdf5 import File, Node

if TYPE_CHECKING:
    import numpy as np

_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_DATASPACE, _DATATYPE, _FILL, _LAYOUT, _ATTRIBUTE, _SYMBOL_TABLE = 0x1, 0x3, 0x5, 0x8, 0xC, 0x11
# What the superblock of h5py's files says: half of what a symbol table node and a tree node hold.
_LEAF_K, _TREE_K = 4, 16
_ENTRY = 40
_MOST_IN_MESSAGE = 0xFFF0
_FLOAT32 = struct.pack("<BBBBI HHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
_SAVE_AGAIN = "save the model again with Keras, as .keras"


class Hdf5Edit:
    """An HDF5 file that grows.

    Args:
        data: the file.

    Raises:
        Unreadable: it is not laid out as h5py does by default.
        Hdf5Error: it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        file = File(memoryview(data))
        version = file.u8(8)
        if version > 1 or (file.u16(16), file.u16(18)) != (_LEAF_K, _TREE_K):
            raise Unreadable("its weights are stored in a way that h5py does not by default", _SAVE_AGAIN)
        self._end_at = {0: 40, 1: 44}[version]
        self._data = bytearray(data) + bytes(-len(data) % 8)

    def finish(self) -> bytes:
        """The file as it is now."""
        struct.pack_into("<Q", self._data, self._end_at, len(self._data))
        return bytes(self._data)

    def file(self) -> File:
        """The file as it is now, to read."""
        return File(memoryview(self.finish()))

    # Objects

    def dataset(self, array: np.ndarray) -> int:
        """Adds an array of float32; returns its address."""
        shape = array.shape
        place = self._add(array.astype("<f4").tobytes())
        space = struct.pack(f"<BBB5x{len(shape)}Q", 1, len(shape), 0, *shape)
        # Space is allocated early, and there is no fill value.
        fill = struct.pack("<BBBBI", 2, 1, 2, 1, 0)
        layout = struct.pack("<BBQQ", 3, 1, place, array.size * 4)
        return self._header([(_DATASPACE, space), (_DATATYPE, _FLOAT32), (_FILL, fill), (_LAYOUT, layout)])

    def group(self, members: Mapping[str, int], messages: Sequence[tuple[int, bytes]] = ()) -> int:
        """Adds a group; returns its address.

        Args:
            members: addresses by name.
            messages: of its header, such as attributes: (type, content).
        """
        # Names are compared byte by byte.
        names = sorted(members, key=str.encode)
        offsets, heap = {}, bytearray(8)
        for name in names:
            offsets[name] = len(heap)
            stored = name.encode() + b"\0"
            heap += stored + bytes(-len(stored) % 8)
        data_at = self._add(heap)
        # 1 says that nothing in the heap is free.
        heap_at = self._add(struct.pack("<4sB3xQQQ", b"HEAP", 0, len(heap), 1, data_at))
        tree_at = self._tree([(offsets[name], members[name]) for name in names])
        return self._header([(_SYMBOL_TABLE, struct.pack("<QQ", tree_at, heap_at)), *messages])

    def replace(self, parent: Node, name: str, address: int) -> None:
        """Lets a member of a group, read from `file()`, lead to another object."""
        table = parent.message(_SYMBOL_TABLE)
        place = None if table is None else _entry_of(parent.file, table[0], parent.links[name])
        if place is None:
            raise Unreadable("its groups are stored in a way that h5py does not by default", _SAVE_AGAIN)
        # Type 0: nothing about the object is kept in the entry.
        struct.pack_into("<QII16x", self._data, place + 8, address, 0, 0)

    # Parts

    def _add(self, block: bytes | bytearray) -> int:
        at = len(self._data)
        self._data += block
        self._data += bytes(-len(block) % 8)
        return at

    def _header(self, messages: Sequence[tuple[int, bytes]]) -> int:
        body = bytearray()
        for kind, content in messages:
            padded = content + bytes(-len(content) % 8)
            if len(padded) > _MOST_IN_MESSAGE:
                raise Unreadable("it has more layers than fit into an attribute", _SAVE_AGAIN)
            body += struct.pack("<HHB3x", kind, len(padded), 0) + padded
        return self._add(struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body)

    def _tree(self, entries: list[tuple[int, int]]) -> int:
        """A version 1 B-tree over (offset of the name, address), sorted by name."""
        children = []
        for start in range(0, len(entries), 2 * _LEAF_K):
            part = entries[start : start + 2 * _LEAF_K]
            node = struct.pack("<4sBxH", b"SNOD", 1, len(part))
            node += b"".join(struct.pack("<QQII16x", name, address, 0, 0) for name, address in part)
            children.append((part[-1][0], self._add(node.ljust(8 + 2 * _LEAF_K * _ENTRY, b"\0"))))
        level = 0
        while True:
            above = []
            # Each node's first key is the one before its first child's; the empty name comes before all.
            before = 0
            for start in range(0, max(len(children), 1), 2 * _TREE_K):
                part = children[start : start + 2 * _TREE_K]
                node = struct.pack("<4sBBHQQQ", b"TREE", 0, level, len(part), _UNDEFINED, _UNDEFINED, before)
                node += b"".join(struct.pack("<QQ", address, last) for last, address in part)
                before = part[-1][0] if part else 0
                above.append((before, self._add(node.ljust(24 + 8 + 2 * _TREE_K * 16, b"\0"))))
            self._join([address for _, address in above])
            if len(above) == 1:
                return above[0][1]
            children, level = above, level + 1

    def _join(self, nodes: list[int]) -> None:
        """Tells tree nodes of one level of their neighbours."""
        for left, right in pairwise(nodes):
            struct.pack_into("<Q", self._data, left + 16, right)
            struct.pack_into("<Q", self._data, right + 8, left)


def attribute_of_texts(name: str, texts: Sequence[str]) -> tuple[int, bytes]:
    """An attribute that lists texts, for a header: of fixed length, as Keras writes them."""
    stored = [text.encode() for text in texts]
    width = max(map(len, stored), default=1) or 1
    label = name.encode() + b"\0"
    kind = struct.pack("<BBBBI", 0x13, 1, 0, 0, width)  # texts padded with zeros
    space = struct.pack("<BBB5xQ", 1, 1, 0, len(stored))
    head = struct.pack("<BxHHH", 1, len(label), len(kind), len(space))
    parts = [part + bytes(-len(part) % 8) for part in (label, kind, space)]
    return _ATTRIBUTE, head + b"".join(parts) + b"".join(text.ljust(width, b"\0") for text in stored)


def other_messages(group: Node, without: Sequence[str] = ()) -> list[tuple[int, bytes]]:
    """What a group's header says but for its members, and but for the attributes of some names."""
    kept = []
    for kind, offset, size in group.messages:
        if kind == _SYMBOL_TABLE:
            continue
        if kind == _ATTRIBUTE:
            version, length = group.file.u8(offset), group.file.u16(offset + 2)
            if group.file.text(offset + (9 if version == 3 else 8), length) in without:
                continue
        kept.append((kind, bytes(group.file.view(offset, size))))
    return kept


def _entry_of(file: File, table: int, address: int) -> int | None:
    """Where the symbol table has the entry that leads to an address."""
    pending = [file.u64(table)]
    while pending:
        node = pending.pop()
        file.expect(node, b"TREE")
        level, count = file.u8(node + 5), file.u16(node + 6)
        file.step(count + 1)
        children = [file.u64(node + 32 + 16 * index) for index in range(count)]
        if level:
            pending += children
            continue
        for leaf in children:
            for index in range(file.u16(leaf + 6)):
                if file.u64(leaf + 8 + _ENTRY * index + 8) == address:
                    return leaf + 8 + _ENTRY * index
    return None
