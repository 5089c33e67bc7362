"""How many bytes pruned weights take: stored dense, stored sparse, and gzipped.

The sparse size follows from counts of zeros by the converter's format (`converter_storage`), so that nothing is encoded
for it. It is exact but for the tables that a weight stored sparse takes beside its values and indices: `TABLES` is what
they take on average (float weights of the fixtures: within 210 bytes, 100 of nearly all; with a scale for each channel
of int8 weights 300 more). Gzip is what app stores and web servers do to a file anyhow; it finds the zeros of dense
weights, too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from xnnlint.model.converter_storage import (
    BLOCK,
    IN_BLOCKS,
    WEIGHTED,
    empty_in_blocks,
    index_bytes,
    stores_blocks,
    stores_sparse,
)
from xnnlint.model.stored_bytes import StoredSize
from xnnlint.model.weights import MAX_DECODED_BYTES, Measured, dense_values, measure

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph, Model, Operator, Tensor

TABLES = 350
"""Bytes beside values and indices: the sparsity's tables, the unpacked weight as a tensor of its own, a DENSIFY."""
CHEAP_BYTES = 1 << 18
"""Up to so many bytes are gzipped in some milliseconds."""
_BYTES = {"FLOAT32": 4, "FLOAT16": 2, "INT8": 1}
_GZIP = 16 + zlib.MAX_WBITS


class _Weight(NamedTuple):
    graph: Graph
    op: Operator
    measured: Measured

    @property
    def source(self) -> Tensor:
        return self.graph.tensors[self.measured.source]


def stored_size(model: Model, largest_gzip: int = CHEAP_BYTES) -> StoredSize | None:
    """The size of a model's pruned weights; None where none is pruned.

    Args:
        model: the model.
        largest_gzip: dense bytes up to which it is tried how well they pack, `MAX_DECODED_BYTES` at most.

    Raises:
        XnnlintError: a weight's zeros can only be counted decoded, and it is too large for that.
    """
    weights = list(_pruned(model))
    if not weights:
        return None
    dense = sum(map(_dense_bytes, weights))
    sparse = sum(map(_sparse_bytes, weights))
    now = sum(_sparse_bytes(w) if w.source.sparsity is not None else _dense_bytes(w) for w in weights)
    return StoredSize(now, dense, sparse, _gzipped(weights) if dense <= min(largest_gzip, MAX_DECODED_BYTES) else None)


def _pruned(model: Model) -> Iterator[_Weight]:
    """Each weight once, whoever reads it."""
    seen = set[tuple[int, int]]()
    for number, graph in enumerate(model.graphs):
        for op in graph.operators:
            if op.type not in WEIGHTED or graph.input_tensor(op, 1) is None:
                continue
            measured = measure(graph, op.inputs[1])
            if measured is None or measured.dtype not in _BYTES or (number, measured.source) in seen:
                continue
            is_sparse = measured.storage == "sparse"
            has_form = len(graph.tensors[measured.source].shape) in (2, 4)
            if is_sparse or (has_form and stores_sparse(measured.zeros, measured.elements)):
                seen.add((number, measured.source))
                yield _Weight(graph, op, measured)


def _dense_bytes(weight: _Weight) -> int:
    return weight.measured.elements * _BYTES[weight.measured.dtype]


def _sparse_bytes(weight: _Weight) -> int:
    source, measured = weight.source, weight.measured
    if source.sparsity is not None:
        vectors = [vector for d in source.sparsity.dims for vector in (d.segments, d.indices) if vector is not None]
        return measured.stored_bytes + sum(vector.nbytes for vector in vectors) + TABLES
    columns = source.shape[-1]
    rows = measured.elements // columns
    kept = measured.elements - measured.zeros
    entries = kept
    if weight.op.type == IN_BLOCKS and measured.dtype == "FLOAT32" and _dense_bytes(weight) <= MAX_DECODED_BYTES:
        array = dense_values(source, MAX_DECODED_BYTES)
        if stores_blocks(array, measured.zeros):
            kept = measured.elements - empty_in_blocks(array)
            entries, columns = kept // BLOCK, columns // BLOCK
    indices = index_bytes(entries) * (rows + 1) + index_bytes(columns - 1) * entries
    return kept * _BYTES[measured.dtype] + indices + TABLES


def _gzipped(weights: Iterable[_Weight]) -> int:
    packer = zlib.compressobj(wbits=_GZIP)
    packed = sum(len(packer.compress(dense_values(w.source, MAX_DECODED_BYTES).tobytes())) for w in weights)
    return packed + len(packer.flush())
