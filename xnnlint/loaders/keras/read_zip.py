"""Finds the members of a zip archive in mapped memory, with bounds on everything that it may claim.

`zipfile` reads the whole directory before one can ask how long it is, and copies what it reads; Keras stores its
members uncompressed, so that most of an archive can stay where it is. After APPNOTE.TXT of PKWARE, sections 4.3, 4.5.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
import zlib

from msgspec import Struct

from xnnlint.loaders.keras.read_config import DAMAGED, Unreadable

SIGNATURE = b"PK\x03\x04"

_END, _END64, _END64_PLACE = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY = struct.Struct("<4s6H3I5H2I")
_MAX_DIRECTORY = 4 << 20
_STORED, _DEFLATED = 0, 8
# A packed member may be unpacked to this size whatever it claims, and beyond it only as far as weights are ever packed.
_MAX_UNCHECKED = 64 << 20
_MAX_RATIO = 20
_MAX_UNPACKED = 1 << 30
_STEP = 1 << 20
_SAVE_AGAIN = "save it again with Keras, which does not compress"


class Member(Struct, frozen=True):
    """A file in the archive: where its data lies, how it is packed, and how long it claims to be."""

    name: str
    method: int
    flags: int
    packed: int
    size: int
    header: int


def members(data: memoryview) -> dict[str, Member]:
    """Every file of an archive, by name.

    Raises:
        Unreadable: it is damaged.
    """
    try:
        return {member.name: member for member in _directory(data)}
    except (struct.error, IndexError):
        raise Unreadable("this zip archive is damaged", DAMAGED) from None


def contents(data: memoryview, member: Member, limit: int = _MAX_UNPACKED) -> memoryview:
    """The bytes of a file: a view of the archive where they are stored as they are, else of a temporary file.

    Raises:
        Unreadable: they are damaged, packed in an unknown way, or longer than `limit` or than weights can be.
    """
    start = _start(data, member)
    packed = data[start : start + member.packed]
    if member.flags & 1:
        raise Unreadable(f"{member.name} is encrypted", "save it without a password")
    if member.size > limit:
        raise Unreadable(f"{member.name} claims {member.size:,} bytes, and up to {limit:,} are read", _SAVE_AGAIN)
    if member.method == _STORED:
        if member.size != member.packed:
            raise Unreadable(f"{member.name} is damaged", DAMAGED)
        return packed
    if member.method != _DEFLATED:
        raise Unreadable(f"{member.name} is compressed with method {member.method}", _SAVE_AGAIN)
    if member.size > max(_MAX_UNCHECKED, _MAX_RATIO * member.packed):
        raise Unreadable(
            f"{member.name} claims {member.size:,} bytes from {member.packed:,}: more than weights are ever packed",
            _SAVE_AGAIN,
        )
    return _inflate(packed, member)


def _directory(data: memoryview) -> list[Member]:
    count, size, offset = _end(data)
    if size > _MAX_DIRECTORY or offset + size > len(data):
        raise Unreadable("this zip archive's directory is damaged or longer than any model's", DAMAGED)
    found = []
    at = offset
    for _ in range(min(count, size // _ENTRY.size)):
        fields = _ENTRY.unpack_from(data, at)
        if fields[0] != b"PK\x01\x02":
            raise Unreadable("this zip archive's directory is damaged", DAMAGED)
        _, _, _, flags, method, _, _, _, packed, full, name, extra, comment, _, _, _, header = fields
        at += _ENTRY.size
        text = bytes(data[at : at + name]).decode("utf8", "replace")
        packed, full, header = _wide(data, at + name, extra, packed, full, header)
        at += name + extra + comment
        found.append(Member(text, method, flags, packed, full, header))
    return found


def _end(data: memoryview) -> tuple[int, int, int]:
    """Number of entries, size and offset of the directory."""
    tail = max(len(data) - (1 << 16) - 22, 0)
    place = bytes(data[tail:]).rfind(_END)
    if place < 0:
        raise Unreadable("this zip archive has no directory", "the file is truncated or damaged")
    place += tail
    count, size, offset = struct.unpack_from("<HII", data, place + 10)
    if place >= 20 and bytes(data[place - 20 : place - 16]) == _END64_PLACE:
        (wide,) = struct.unpack_from("<Q", data, place - 12)
        if wide + 56 <= len(data) and bytes(data[wide : wide + 4]) == _END64:
            count, size, offset = struct.unpack_from("<QQQ", data, wide + 32)
    return count, size, offset


def _wide(data: memoryview, at: int, length: int, packed: int, full: int, header: int) -> tuple[int, int, int]:
    """Sizes and offset of 64 bits, which an extra field holds in place of those that are all ones."""
    end = at + length
    while at + 4 <= end:
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == 1:
            values = list(struct.unpack_from(f"<{size // 8}Q", data, at + 4))
            fields = [full, packed, header]
            for index, field in enumerate(fields):
                if field == 0xFFFFFFFF and values:
                    fields[index] = values.pop(0)
            full, packed, header = fields
        at += 4 + size
    return packed, full, header


def _start(data: memoryview, member: Member) -> int:
    """Where the data of a file begins: behind its own header, whose extra field is another than the directory's."""
    if member.header + 30 > len(data) or bytes(data[member.header : member.header + 4]) != SIGNATURE:
        raise Unreadable(f"{member.name} is damaged", DAMAGED)
    start: int = member.header + 30 + sum(struct.unpack_from("<HH", data, member.header + 26))
    if start + member.packed > len(data):
        raise Unreadable(f"{member.name} is cut short", "the file is truncated or damaged")
    return start


def _inflate(packed: memoryview, member: Member) -> memoryview:
    """On disk, not in memory, where a large model would not fit twice; the file has no name and goes with its view."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    if not member.size:
        return memoryview(b"")
    with tempfile.TemporaryFile() as file:
        written, rest, at = 0, b"", 0
        try:
            while written < member.size and not unpacker.eof:
                if not rest:
                    rest, at = bytes(packed[at : at + _STEP]), at + _STEP
                    if not rest:
                        break
                piece = unpacker.decompress(rest, _STEP)
                rest = unpacker.unconsumed_tail
                file.write(piece[: member.size - written])
                written += len(piece)
        except zlib.error as error:
            raise Unreadable(f"{member.name} is damaged ({error})", DAMAGED) from None
        if written != member.size:
            raise Unreadable(f"{member.name} claims {member.size:,} bytes, and unpacks to {written:,}", DAMAGED)
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), member.size, access=mmap.ACCESS_READ))
