"""Replaces a text attribute of an HDF5 file where it stands: 20 bytes are changed, and the text goes to the file's end.

h5py would do for writing, but it may move and rewrite what it likes, and it would be one more dependency. Here every
weight provably keeps its bytes. h5py stores a text of any length as {length, address of a global heap, index}; a new
heap with the new text is appended, those 16 bytes are set, and the superblock's end of file. After the HDF5 File Format
Specification 3.0: II.A (superblock), III.E (global heap), IV.A.2.m (attribute).
"""

from __future__ import annotations

import struct

from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_hdf5 import File

_ATTRIBUTE = 12
_LEAST_HEAP = 4096
_SAVE_AGAIN = "save the model again with Keras, as .keras"


def replace_text(data: bytes, name: str, text: str) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The same file with another text as an attribute of its root.

    Args:
        data: the file.
        name: of the attribute.
        text: its new value.

    Returns:
        What to append to the file (after padding it to a multiple of 8 bytes), and the places to overwrite.

    Raises:
        Unreadable: the attribute is stored in another way than h5py stores texts.
        Hdf5Error: the file is damaged.
    """
    file = File(memoryview(data))
    version = file.u8(8)
    if version > 1:
        raise Unreadable("it has checksums, which xnnlint does not rewrite", _SAVE_AGAIN)
    place = _reference(file, name)
    start = len(data) + -len(data) % 8
    stored = text.encode()
    heap = _heap(stored)
    end_at = {0: 40, 1: 44}[version]
    patches = [
        (place, struct.pack("<IQI", len(stored), start, 1)),
        (end_at, struct.pack("<Q", start + len(heap))),
    ]
    return bytes(start - len(data)) + heap, patches


def _reference(file: File, name: str) -> int:
    """Where the {length, heap, index} of a root attribute is."""
    for kind, offset, _ in file.root.messages:
        if kind != _ATTRIBUTE or file.u8(offset) not in (1, 3):
            continue
        name_size, type_size, space_size = (file.u16(offset + at) for at in (2, 4, 6))
        padding = 8 if file.u8(offset) == 1 else 1
        at = offset + (8 if file.u8(offset) == 1 else 9)
        if file.text(at, name_size) != name:
            continue
        type_at = at + name_size + -name_size % padding
        space_at = type_at + type_size + -type_size % padding
        data_at = space_at + space_size + -space_size % padding
        # Class 9 is of variable length, and type 1 of it text; a scalar has no dimensions.
        if file.u8(type_at) & 15 == 9 and file.u8(type_at + 1) & 15 == 1 and file.u8(space_at + 1) == 0:
            return data_at
        raise Unreadable(f"its attribute {name!r} is stored in a way that h5py does not use", _SAVE_AGAIN)
    raise Unreadable(f"it has no attribute {name!r} in the place where h5py puts it", _SAVE_AGAIN)


def _heap(stored: bytes) -> bytes:
    """A global heap collection with one object, index 1."""
    used = 16 + 16 + len(stored) + -len(stored) % 8
    size = max(_LEAST_HEAP, used)
    if 0 < size - used < 16:
        size += 16
    heap = struct.pack("<4sB3xQ", b"GCOL", 1, size) + struct.pack("<HH4xQ", 1, 1, len(stored))
    heap += stored + bytes(-len(stored) % 8)
    if size > used:
        heap += struct.pack("<HH4xQ", 0, 0, size - used)
    return heap + bytes(size - len(heap))
