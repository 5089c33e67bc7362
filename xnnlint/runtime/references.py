"""What a file means where LiteRT's reference kernels do not say it.

Sparse-encoded tensors that are read as they are stored are dense in a copy, since those kernels, too, take what is
stored for the whole (see `xnnlint.xnnpack.sparse_readers`); what a DENSIFY decodes stays as it is. And one of the
kernels computes another sum than its operator means.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.errors import XnnlintError

if TYPE_CHECKING:
    from xnnlint.loaders.tflite.flatbuffer import Table
    from xnnlint.model.graph import Graph, Operator, Tensor

# Tensors begin at multiples of it (`force_align` of Buffer.data in the schema).
_ALIGNMENT = 16


WRONG_REFERENCES = frozenset({"LOCAL_RESPONSE_NORMALIZATION"})
"""Operators whose reference kernel is wrong: this one leaves out the last channel of its window, which the optimized
kernel has, as TensorFlow says (google-ai-edge/LiteRT tflite/kernels/internal/reference/reference_ops.h,
optimized/optimized_ops.h `LocalResponseNormalization`; read at f674577, 2026-08-21, and seen in runs)."""


RANDOM = frozenset({"MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"})
"""Operators that give other numbers in each run where both of their seeds are 0 (google-ai-edge/LiteRT
tflite/kernels/random_ops.cc `InitializeOpData`)."""


def wrong_reference(path: str | Path) -> str | None:
    """The type of an operator of a .tflite file that LiteRT's reference kernels get wrong; None where there is none."""
    return next((op.type for op in _operators(path) if op.type in WRONG_REFERENCES), None)


def random_operator(path: str | Path) -> str | None:
    """The type of an operator of a .tflite file that gives other numbers in each run; None where there is none."""
    found = (op for op in _operators(path) if op.type in RANDOM)
    return next((op.type for op in found if not (op.attributes.get("seed") or op.attributes.get("seed2"))), None)


def _operators(path: str | Path) -> Iterator[Operator]:
    """Those of all subgraphs on which an output depends; none of a file that cannot be read."""
    from xnnlint.loaders.tflite.read_tflite import load

    try:
        graphs = load(path).graphs
    except (XnnlintError, OSError):
        return
    for graph in graphs:
        needed = graph.needed(graph.outputs)
        yield from (op for op in graph.operators if needed.intersection(op.outputs))


def dense_copy(path: str | Path) -> bytes | None:
    """A .tflite file with every sparse-encoded tensor dense that something else than DENSIFY reads.

    The file stays as it is, and what is new is appended: the dense values, and for each tensor a description (vtable)
    that leaves out the encoding.

    Returns:
        The copy; None where there is no such tensor, or no copy can be made: of a file that cannot be read, of data
        behind the FlatBuffer, of a buffer with several tensors.
    """
    from xnnlint.loaders.tflite.flatbuffer import Malformed, Reader
    from xnnlint.loaders.tflite.read_tflite import load_bytes
    from xnnlint.model.weights import MAX_DECODED_BYTES, dense_values

    try:
        data = Path(path).read_bytes()
        graphs = load_bytes(data, path).graphs
        found = {(number, tensor.index): tensor for number, graph in enumerate(graphs) for tensor in _found(graph)}
        if not found:
            return None
        root, copy = Reader(data, len(data)).root("Model"), bytearray(data)
        subgraphs, buffers = root.tables("subgraphs"), root.tables("buffers")
        readers = Counter(
            tables[index].scalar("buffer")
            for tables in (subgraphs[number].tables("tensors") for number in range(len(subgraphs)))
            for index in range(len(tables))
        )
        for (number, index), tensor in found.items():
            table = subgraphs[number].tables("tensors")[index]
            buffer = buffers[table.scalar("buffer")]
            if readers[table.scalar("buffer")] > 1 or not buffer.has("data"):
                return None
            _point(copy, buffer.place("data"), _append(copy, dense_values(tensor, MAX_DECODED_BYTES).tobytes()))
            _leave_out(copy, table, table.place("sparsity"))
        return bytes(copy)
    except (XnnlintError, Malformed, OSError):
        return None


def _found(graph: Graph) -> Iterator[Tensor]:
    """The sparse-encoded tensors that something else than DENSIFY reads."""
    for tensor in graph.tensors:
        readers = graph.consumers(tensor.index) if tensor.sparsity is not None and tensor.is_constant else []
        if any(op.type != "DENSIFY" for op in readers):
            yield tensor


def _append(copy: bytearray, values: bytes) -> int:
    """Appends a vector of bytes; gives the position of its length, which stands in front of them."""
    copy += bytes(-(len(copy) + 4) % _ALIGNMENT)
    position = len(copy)
    copy += struct.pack("<I", len(values)) + values
    return position


def _point(copy: bytearray, place: int, position: int) -> None:
    struct.pack_into("<I", copy, place, position - place)


def _leave_out(copy: bytearray, table: Table, place: int) -> None:
    """Gives a table a description of its own, in which one of its fields is missing."""
    old = table.position - struct.unpack_from("<i", copy, table.position)[0]
    (size,) = struct.unpack_from("<H", copy, old)
    entries = list(struct.unpack_from(f"<{size // 2}H", copy, old))
    entries = [0 if slot > 1 and entry == place - table.position else entry for slot, entry in enumerate(entries)]
    copy += bytes(len(copy) % 2)
    struct.pack_into("<i", copy, table.position, table.position - len(copy))
    copy += struct.pack(f"<{len(entries)}H", *entries)
