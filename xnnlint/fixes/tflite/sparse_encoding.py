"""Zeros stored dense become a sparse encoding behind DENSIFY, exactly as TensorFlow's converter writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite import object_api as schema

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit, Op

FILTER = 1
# Of a FULLY_CONNECTED with dense float weights, with `keep_num_dims` or without; version 8 stays with TFLite.
_DENSE_VERSION = 5
_DTYPES = ("FLOAT32", "FLOAT16", "INT8")


def stored_filter(graph: GraphEdit, op: Op) -> int | None:
    """The dense constant that an operator's filter comes from: the filter, or what a DEQUANTIZE in front unpacks; None
    where there is none that could be encoded."""
    tensor = op.inputs[FILTER]
    unpacker = graph.unpacker(tensor)
    if unpacker is not None and unpacker.type == "DEQUANTIZE":
        tensor = unpacker.inputs[0]
    if graph.producer(tensor) is not None or tensor in graph.outputs or graph.dtype(tensor) not in _DTYPES:
        return None
    if graph.dtype(tensor) == "INT8" and not (
        unpacker and unpacker.type == "DEQUANTIZE" and _is_symmetric(graph, tensor)
    ):
        # As the operator's own filter it would not load behind DENSIFY.
        return None
    return tensor if graph.constant(tensor) is not None else None


def encode(graph: GraphEdit, tensor: int, *, near: Op) -> int:
    """Stores a dense constant sparse; a DENSIFY before `near` unpacks it for all its readers. Returns the constant."""
    values = graph.constant(tensor)
    assert values is not None
    kept, sparsity = encoded(values)
    stored = graph.add_like(tensor, "_sparse")
    graph.tensors[stored].sparsity = sparsity
    graph.tensors[stored].buffer = graph.edit.add_buffer(kept.tobytes())
    graph.tensors[tensor].buffer = 0
    graph.insert("DENSIFY", [stored], [tensor], near=near, options="DensifyOptions")
    return stored


def store_dense(graph: GraphEdit, densify: Op) -> None:
    """The reverse: the output of a DENSIFY becomes the constant itself, and the DENSIFY goes."""
    stored, tensor = densify.inputs[0], densify.outputs[0]
    values = dense_values(graph, stored)
    graph.tensors[tensor].buffer = graph.edit.add_buffer(values.tobytes())
    graph.remove(densify)


def drop_encoding(graph: GraphEdit, op: Op, tensor: int) -> None:
    """A sparse-encoded tensor becomes a dense constant; for a reader that takes it as it is stored.

    A DENSIFY that reads it, too, keeps a tensor of its own.
    """
    values = dense_values(graph, tensor)
    dense = tensor
    if any(reader.type == "DENSIFY" for reader in graph.consumers(tensor)):
        dense = graph.add_like(tensor, "_dense")
        graph.rewire(tensor, dense, [reader for reader in graph.consumers(tensor) if reader.type != "DENSIFY"])
    graph.tensors[dense].buffer = graph.edit.add_buffer(values.tobytes())
    graph.tensors[dense].sparsity = None
    if op.type == "FULLY_CONNECTED" and graph.dtype(dense) == "FLOAT32":
        graph.set_version(op, _DENSE_VERSION)


def stored_dense(data: bytes, path: str) -> bytes:
    """The file with every weight stored dense, so that it runs dense everywhere; the same bytes where none is sparse.

    Raises:
        ModelError: the file cannot be read, or changed without loss.
        CannotChange: a weight is of no known type.
    """
    from xnnlint.fixes.tflite.editor import Edit

    edit = Edit.open(data, path)
    densifying = [(graph, op) for graph in edit.graphs for op in graph.operators if op.type == "DENSIFY"]
    for graph, op in densifying:
        store_dense(graph, op)
    return edit.to_bytes() if densifying else data


def dense_values(graph: GraphEdit, tensor: int) -> np.ndarray:
    """The values of a constant, whether sparse-encoded or not, in its shape.

    Raises:
        CannotChange: it is no constant of a known type.
    """
    import numpy as np

    from xnnlint.fixes.tflite.editor import NUMPY
    from xnnlint.model import sparse
    from xnnlint.model.graph import SparseDimension, Sparsity

    values = graph.constant(tensor)
    if values is not None:
        return values
    raw = graph.tensors[tensor]
    data = graph.data(tensor)
    if data is None or raw.sparsity is None or graph.dtype(tensor) not in NUMPY:
        raise CannotChange(f"{graph.name(tensor)!r} is no constant that can be read")
    csr = schema.number("DimensionType", "SPARSE_CSR")
    dims = tuple(
        SparseDimension("SPARSE_CSR", 0, np.asarray(d.arraySegments.values), np.asarray(d.arrayIndices.values))
        if d.format == csr
        else SparseDimension("DENSE", d.denseSize)
        for d in raw.sparsity.dimMetadata
    )
    block_map = raw.sparsity.blockMap if raw.sparsity.blockMap is not None else ()
    encoding = Sparsity(tuple(map(int, raw.sparsity.traversalOrder)), tuple(map(int, block_map)), dims)
    stored = np.frombuffer(data, NUMPY[graph.dtype(tensor)])[: sparse.count_stored(encoding)]
    dense = np.zeros(int(np.prod(graph.shape(tensor), dtype=np.int64)), stored.dtype)
    dense[sparse.positions(encoding, graph.shape(tensor))] = stored
    return dense.reshape(graph.shape(tensor))


def encoded(values: np.ndarray) -> tuple[np.ndarray, Any]:
    """The non-zeros of a tensor and their SparsityParametersT, laid out as TensorFlow's converter does.

    Traversal in the order of the dimensions, all dense but the last, which is CSR; each index vector in the smallest of
    uint8, uint16 and int32 (LiteRT tflite/converter/transforms/dense_to_sparse_pass.cc and
    tflite/converter/flatbuffer_export.cc, BuildSparsityParameters). Of a tensor of zeros only one explicit zero is
    kept, since an empty buffer is no constant to TFLite.
    """
    import numpy as np

    rows = values.reshape(-1, values.shape[-1])
    kept = rows != 0
    if not kept.any():
        kept[0, 0] = True
    segments = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    dense = schema.number("DimensionType", "DENSE")
    dims = [schema.make("DimensionMetadata", format=dense, denseSize=int(size)) for size in values.shape[:-1]]
    kind_of_segments, segments_table = _index_vector(segments)
    kind_of_indices, indices_table = _index_vector(np.nonzero(kept)[1])
    dims.append(
        schema.make(
            "DimensionMetadata",
            format=schema.number("DimensionType", "SPARSE_CSR"),
            arraySegmentsType=kind_of_segments,
            arraySegments=segments_table,
            arrayIndicesType=kind_of_indices,
            arrayIndices=indices_table,
        )
    )
    sparsity = schema.make(
        "SparsityParameters",
        traversalOrder=np.arange(values.ndim, dtype=np.int32),
        blockMap=[],
        dimMetadata=dims,
    )
    return rows[kept], sparsity


def _index_vector(values: np.ndarray) -> tuple[int, Any]:
    import numpy as np

    kinds = ((np.uint8, "Uint8Vector"), (np.uint16, "Uint16Vector"), (np.int32, "Int32Vector"))
    dtype, kind = next((d, k) for d, k in kinds if values.max() <= np.iinfo(d).max)
    return schema.number("SparseIndexVector", kind), schema.make(kind, values=values.astype(dtype))


def zero_share(graph: GraphEdit, tensor: int) -> float:
    import numpy as np

    values = graph.constant(tensor)
    return 1 - np.count_nonzero(values) / values.size if values is not None and values.size else 0.0


def _is_symmetric(graph: GraphEdit, tensor: int) -> bool:
    """Whether a stored 0 means 0."""
    quantization = graph.tensors[tensor].quantization
    if quantization is None or quantization.detailsType or quantization.zeroPoint is None:
        return False
    return not any(int(z) for z in quantization.zeroPoint)
