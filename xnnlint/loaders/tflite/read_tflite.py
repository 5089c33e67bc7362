"""Reads .tflite files into the one graph.

The file is mapped into memory, never copied: constants are views of the mapping, made when they are asked for. What the
runtime would refuse to load is refused here too (tflite/core/interpreter_builder.cc, tflite/core/subgraph.cc and
tflite/core/tools/verifier.cc of google-ai-edge/LiteRT), so that readers of the graph may trust its indices and sizes.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnnlint.errors import ModelError
from xnnlint.loaders.model_names import MODELS
from xnnlint.loaders.tflite import schema_tables as schema
from xnnlint.loaders.tflite.exporter import exporter_of
from xnnlint.loaders.tflite.flatbuffer import OFFSET_OUTSIDE, Malformed, Reader, Table, Tables, defaults, each
from xnnlint.loaders.tflite.names import operator_names
from xnnlint.loaders.tflite.operator_slots import problem
from xnnlint.model import sparse
from xnnlint.model.graph import (
    BLOCKWISE,
    Graph,
    Model,
    Operator,
    Quantization,
    Signature,
    SparseDimension,
    Sparsity,
    Tensor,
)

if TYPE_CHECKING:
    import numpy as np

IDENTIFIER = b"TFL3"
# `CheckModelIdentifier` in google-ai-edge/LiteRT tflite/converter/core/model_builder_base.h.
NO_IDENTIFIER = (
    "Bytes 5 to 8 of the file are not the identifier TFL3, and the runtime refuses such a file: this is what it would "
    "do with the identifier in place."
)
SCHEMA_VERSION = 3

# Bits of an element, and how numpy sees what is stored: types that numpy lacks are seen as the integers or bytes that
# hold them. Types not listed here have no fixed size.
_STORAGE = {
    "FLOAT32": (32, "<f4"), "FLOAT16": (16, "<f2"), "FLOAT64": (64, "<f8"), "BFLOAT16": (16, "<u2"),
    "FLOAT8_E4M3FN": (8, "u1"), "FLOAT8_E5M2": (8, "u1"), "COMPLEX64": (64, "<c8"), "COMPLEX128": (128, "<c16"),
    "BOOL": (8, "?"), "INT8": (8, "i1"), "UINT8": (8, "u1"), "INT16": (16, "<i2"), "UINT16": (16, "<u2"),
    "INT32": (32, "<i4"), "UINT32": (32, "<u4"), "INT64": (64, "<i8"), "UINT64": (64, "<u8"),
    "INT4": (4, "u1"), "UINT4": (4, "u1"), "INT2": (2, "u1"),
}  # fmt: skip

# Far beyond any model known, and few enough to become a graph in reasonable time and memory.
_MAX_PARTS = 250_000
_MAX_EDGES = 400_000
_MAX_RANK = 32
_MAX_BYTES = 2**63 - 1
# Files are mapped by pages; what lies behind the end of a file in its last page reads as 0.
_PAGE = 4096


def load(path: str | os.PathLike[str]) -> Model:
    """Reads a .tflite file.

    Raises:
        ModelError: the file cannot be read, is not a TFLite model, or is damaged.
    """
    data, size = _map(path)
    return _load(path, data, size)


def load_bytes(data: bytes, path: str | os.PathLike[str]) -> Model:
    """The same for a file in memory; `path` is only its name.

    Raises:
        ModelError: as `load`.
    """
    return _load(path, data, len(data))


def _load(path: str | os.PathLike[str], data: Any, size: int) -> Model:
    try:
        model = _read_model(os.fspath(path), Reader(data, size))
        if data[4:8] != IDENTIFIER:
            model.notes.append(NO_IDENTIFIER)
        return model
    except Malformed as fault:
        problem = str(fault)
    except struct.error:
        problem = OFFSET_OUTSIDE
    if data[4:8] == IDENTIFIER:
        raise ModelError(path, problem, "the file is truncated or damaged") from None
    raise ModelError(path, f"this is not a TFLite model ({problem})", MODELS) from None


def _map(path: str | os.PathLike[str]) -> tuple[mmap.mmap, int]:
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise ModelError(path, "the file is empty")
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ), size
    except (OSError, ValueError) as error:
        raise ModelError(path, f"the file cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _read_model(path: str, reader: Reader) -> Model:
    root = reader.root("Model")
    version = root.scalar("version")
    if version != SCHEMA_VERSION:
        raise Malformed(f"its schema version is {version}, and only version {SCHEMA_VERSION} is known")
    file = _File(reader, root)
    if not file.subgraphs:
        raise Malformed("it holds no subgraph")
    graphs = each("subgraph", file.subgraphs, file.graph)
    signatures = each("signature", root.tables("signature_defs"), partial(_signature, graphs))
    metadata = dict(each("metadata entry", root.tables("metadata"), file.metadata_entry))
    description = root.text("description")
    return Model(
        path=path,
        format="tflite",
        graphs=graphs,
        signatures=signatures,
        metadata=metadata,
        description=description,
        exporter=exporter_of(description, metadata, graphs[0].tensors, signatures),
        notes=file.notes(),
    )


class _File:
    """What the subgraphs of a file share: buffers, operator codes and the reading's notes."""

    def __init__(self, reader: Reader, root: Table) -> None:
        self.reader = reader
        self.buffers: Tables = root.tables("buffers")
        self.subgraphs: Tables = root.tables("subgraphs")
        self.external_groups: Tables = root.tables("external_buffer_groups")
        self.edges = 0
        self.external_tensors = 0
        self._refuse_giants()
        self.codes = each("operator code", root.tables("operator_codes"), _operator_code)

    def _refuse_giants(self) -> None:
        parts = sum(
            each("subgraph", self.subgraphs, lambda _, g: len(g.tables("tensors")) + len(g.tables("operators")))
        )
        if parts > _MAX_PARTS:
            raise Malformed(f"it claims {parts:,} tensors and operators; this version reads up to {_MAX_PARTS:,}")

    def notes(self) -> list[str]:
        if not self.external_tensors:
            return []
        names = ", ".join(each("external buffer group", self.external_groups, lambda _, g: g.text("name")))
        return [
            f"{self.external_tensors} tensors keep their data in other files ({names or 'unnamed'}),"
            " which were not read: their zeros are unknown."
        ]

    # Buffers

    def buffer(self, index: int) -> tuple[int, int] | None:
        """Where the data of a buffer lies: offset and size in the file; None for a buffer without data."""
        if index >= len(self.buffers):
            raise Malformed(f"it refers to buffer {index}, and there are {len(self.buffers)}")
        buffer = self.buffers[index]
        data = buffer.span("data")
        if data is not None:
            return data
        # Files over 2 GB keep their data behind the flatbuffer; an offset of 0 or 1 is a placeholder.
        return self._outside(buffer.scalar("offset"), buffer.scalar("size"), f"buffer {index}")

    def _outside(self, offset: int, size: int, what: str) -> tuple[int, int] | None:
        if offset <= 1:
            return None
        if offset + size > self.reader.size:
            raise Malformed(f"{what} claims {size:,} bytes at {offset:,}, past the end of the file")
        return offset, size

    def metadata_entry(self, index: int, entry: Table) -> tuple[str, bytes]:
        span = self.buffer(entry.scalar("buffer"))
        if span is None:
            return entry.text("name"), b""
        self.reader.spend(span[1])
        return entry.text("name"), bytes(self.reader.data[span[0] : span[0] + span[1]])

    # Subgraphs

    def graph(self, index: int, subgraph: Table) -> Graph:
        tensors = each("tensor", subgraph.tables("tensors"), self.tensor)
        if not any(t.has_rank for t in tensors if not t.shape):
            # Most files are older than the field: there a shape without dimensions is a scalar.
            for tensor in tensors:
                tensor.has_rank = True
        inputs = _tensor_indices(subgraph, "inputs", len(tensors))
        outputs = _tensor_indices(subgraph, "outputs", len(tensors))
        operators = each("operator", subgraph.tables("operators"), partial(self.operator, len(tensors)))
        for op in operators:
            if lacking := problem(op, tensors):
                raise Malformed(f"operator {op.index} is damaged: {lacking}")
        _check_order(tensors, operators, inputs)
        _name_operators(tensors, operators)
        return Graph(tensors, operators, inputs, outputs, subgraph.text("name"))

    def tensor(self, index: int, table: Table) -> Tensor:
        dtype = table.enum("type")
        shape = table.numbers("shape")
        signature = table.numbers("shape_signature")
        _check_shape(dtype, shape, signature)
        tensor = Tensor(
            index=index,
            name=table.text("name"),
            dtype=dtype,
            shape=shape,
            shape_signature=signature if len(signature) == len(shape) else shape,
            has_rank=bool(shape) or table.scalar("has_rank"),
            quantization=_quantization(table, shape),
            is_variable=table.scalar("is_variable"),
            is_variant=bool(len(table.tables("variant_tensors"))),
        )
        buffer = table.scalar("buffer")
        if table.scalar("external_buffer"):
            tensor.is_external = True
            self.external_tensors += 1
        elif buffer:
            self._attach_data(tensor, buffer, table)
        return tensor

    def _attach_data(self, tensor: Tensor, buffer: int, table: Table) -> None:
        span = self.buffer(buffer)
        if span is None:
            return
        offset, size = span
        tensor.sparsity = _sparsity(table)
        bits, numpy_type = _STORAGE.get(tensor.dtype, (8, "u1"))
        if tensor.sparsity is None and tensor.dtype in _STORAGE:
            needed = (math.prod(tensor.shape) * bits + 7) // 8
            if size < needed:
                raise Malformed(f"its shape takes {needed:,} bytes, and buffer {buffer} holds {size:,}")
            size = needed
        elif tensor.sparsity is not None:
            try:
                sparse.check(tensor.sparsity, tensor.shape, size * 8 // bits)
            except ValueError as problem:
                raise Malformed(str(problem)) from None
        tensor.stored = partial(_view, self.reader.data, numpy_type, size, offset)
        tensor.stored_bytes = size
        tensor.mapped = partial(_view, self.reader.data, numpy_type, self.reader.size - offset, offset)
        tensor.mapped_bytes = -(-self.reader.size // _PAGE) * _PAGE - offset

    def operator(self, tensors: int, index: int, table: Table) -> Operator:
        code = table.scalar("opcode_index")
        if code >= len(self.codes):
            raise Malformed(f"it refers to operator code {code}, and there are {len(self.codes)}")
        type_, custom_code, version = self.codes[code]
        inputs = table.numbers("inputs")
        outputs = table.numbers("outputs")
        self.edges += len(inputs) + len(outputs)
        if self.edges > _MAX_EDGES:
            raise Malformed(f"the operators claim more than {_MAX_EDGES:,} inputs and outputs")
        for slots, lowest in ((inputs, -1), (outputs, 0)):
            if slots and not (min(slots) >= lowest and max(slots) < tensors):
                wrong = next(t for t in slots if not lowest <= t < tensors)
                raise Malformed(f"it refers to tensor {wrong}, and there are {tensors}")
        return Operator(
            index=index,
            type=type_,
            inputs=inputs,
            outputs=outputs,
            attributes=self._attributes(type_, table),
            custom_code=custom_code,
            version=version,
            has_intermediates=bool(table.numbers("intermediates") or table.numbers("mutating_variable_inputs")),
        )

    def _attributes(self, type_: str, table: Table) -> dict[str, Any]:
        if type_ == "CUSTOM":
            return {"custom_options": self._custom_options(table)}
        name, options = table.union("builtin_options")
        if name == "NONE":
            name, options = table.union("builtin_options_2")
        expected = schema.options_of().get(type_)
        if expected and (options is None or name != expected):
            return defaults(expected)
        attributes = options.as_dict() if options else {}
        for key, value in attributes.items():
            if key.endswith("subgraph_index") and not -1 <= value < len(self.subgraphs):
                raise Malformed(f"{key} is {value}, and there are {len(self.subgraphs)} subgraphs")
        return attributes

    def _custom_options(self, table: Table) -> memoryview:
        span = table.span("custom_options") or self._outside(
            table.scalar("large_custom_options_offset"),
            table.scalar("large_custom_options_size"),
            "its custom options",
        )
        start, length = span or (0, 0)
        return memoryview(self.reader.data)[start : start + length]


def _operator_code(index: int, table: Table) -> tuple[str, str, int]:
    # Files older than the wide field, and newer ones for compatibility, hold the code in a byte of its own.
    number = max(table.scalar("builtin_code"), table.scalar("deprecated_builtin_code"))
    names = schema.enum("BuiltinOperator")
    type_ = names[number] if 0 <= number < len(names) else f"BUILTIN_{number}"
    custom_code = table.text("custom_code") if type_ == "CUSTOM" else ""
    return type_, custom_code, table.scalar("version")


def _check_shape(dtype: str, shape: tuple[int, ...], signature: tuple[int, ...]) -> None:
    if len(shape) > _MAX_RANK or len(signature) > _MAX_RANK:
        raise Malformed(f"it claims {max(len(shape), len(signature)):,} dimensions")
    if shape and min(shape) < 0:
        raise Malformed(f"its shape {list(shape)} has a negative dimension")
    if signature and min(signature) < -1:
        raise Malformed(f"its shape signature {list(signature)} has a dimension below -1")
    bits, _ = _STORAGE.get(dtype, (8, ""))
    if math.prod(d for d in shape if d) * bits // 8 > _MAX_BYTES:
        raise Malformed(f"its shape {list(shape)} is larger than any memory")


def _quantization(tensor: Table, shape: tuple[int, ...]) -> Quantization | None:
    """Quantization parameters by the rules of InterpreterBuilder::ParseQuantization."""
    table = tensor.table("quantization")
    if table is None:
        return None
    details, scheme = table.union("details")
    axis = table.scalar("quantized_dimension")
    if details in (BLOCKWISE, "MultiAxisQuantization"):
        blocks = scheme.scalar("block_size") if scheme is not None and details == BLOCKWISE else 0
        return Quantization((), (), axis, details, blocks)
    scale = table.numbers("scale")
    if not scale:
        return None
    zero_point = table.numbers("zero_point")
    if len(scale) != len(zero_point):
        raise Malformed(f"it has {len(scale)} quantization scales and {len(zero_point)} zero points")
    if axis < 0 or (shape and axis >= len(shape)):
        raise Malformed(f"its quantized dimension is {axis}, and it has {len(shape)} dimensions")
    if len(scale) != 1 and shape and len(scale) != shape[axis]:
        raise Malformed(f"it has {len(scale)} quantization scales for {shape[axis]} channels")
    return Quantization(scale, zero_point, axis)


def _sparsity(tensor: Table) -> Sparsity | None:
    """How a tensor is sparse-encoded; the metadata is a view of the file, and checked when it is decoded."""
    table = tensor.table("sparsity")
    if table is None:
        return None
    order, block_map = table.numbers("traversal_order"), table.numbers("block_map")
    dimensions = table.tables("dim_metadata")
    if not table.has("traversal_order") or not table.has("dim_metadata"):
        raise Malformed("its sparsity lacks a traversal order or the description of its levels")
    if len(order) > 2 * _MAX_RANK or len(order) != len(dimensions):
        raise Malformed(f"its sparsity has a traversal order of {len(order)} levels and describes {len(dimensions)}")
    return Sparsity(order, block_map, tuple(each("sparse level", dimensions, _sparse_dimension)))


def _sparse_dimension(index: int, table: Table) -> SparseDimension:
    kind = table.enum("format")
    if kind == "DENSE":
        return SparseDimension(kind, table.scalar("dense_size"))
    if kind != "SPARSE_CSR":
        raise Malformed(f"its format is {kind}")
    return SparseDimension(kind, 0, _index_vector(table, "array_segments"), _index_vector(table, "array_indices"))


def _index_vector(table: Table, name: str) -> np.ndarray:
    _, vector = table.union(name)
    values = vector.array("values") if vector else None
    if values is None:
        raise Malformed(f"it has no '{name}'")
    return values


def _tensor_indices(subgraph: Table, name: str, tensors: int) -> tuple[int, ...]:
    indices = subgraph.numbers(name)
    for index in indices:
        if not 0 <= index < tensors:
            raise Malformed(f"'{name}' refers to tensor {index}, and there are {tensors}")
    return indices


def _check_order(tensors: list[Tensor], operators: list[Operator], inputs: tuple[int, ...]) -> None:
    """The rules of VerifySubGraphConsistency, but for inputs that nothing writes: the runtime tolerates those."""
    writer: dict[int, Operator] = {}
    for op in operators:
        for t in op.outputs:
            if t in writer:
                raise Malformed(f"tensor {t} is written twice, by {_label(writer[t])} and {_label(op)}")
            if tensors[t].is_constant:
                raise Malformed(f"{_label(op)} writes tensor {t}, which is a constant")
            writer[t] = op
    for t in inputs:
        if t in writer:
            raise Malformed(f"{_label(writer[t])} writes tensor {t}, which is an input of the graph")
    for op in operators:
        for t in op.inputs:
            if t in writer and writer[t].index >= op.index and not tensors[t].is_variable:
                raise Malformed(
                    f"{_label(op)} reads tensor {t}, which is written only later by {_label(writer[t])}:"
                    " the operators are not in execution order"
                )


def _label(op: Operator) -> str:
    return f"operator {op.index} ({op.custom_code or op.type})"


def _name_operators(tensors: list[Tensor], operators: list[Operator]) -> None:
    unpacked: dict[int, int] = {}  # output of DENSIFY or DEQUANTIZE -> the constant
    for op in operators:
        if op.type in ("DENSIFY", "DEQUANTIZE") and len(op.inputs) == 1 and op.outputs:
            source = unpacked.get(op.inputs[0], op.inputs[0])
            if source >= 0 and tensors[source].is_constant:
                unpacked[op.outputs[0]] = source
    constants = [[unpacked.get(t, t) for t in op.inputs if t >= 0] for op in operators]
    names = operator_names(
        [op.custom_code or op.type for op in operators],
        [tensors[op.outputs[0]].name if op.outputs else "" for op in operators],
        [[tensors[t].name for t in read if tensors[t].is_constant] for read in constants],
    )
    readers: dict[int, Operator] = {}
    for op, name in zip(reversed(operators), reversed(names), strict=True):
        output = op.outputs[0] if op.outputs else -1
        op.name = readers[output].name if output in unpacked and output in readers else name
        readers.update(dict.fromkeys(op.inputs, op))


def _signature(graphs: list[Graph], index: int, table: Table) -> Signature:
    subgraph = table.scalar("subgraph_index")
    if subgraph >= len(graphs):
        raise Malformed(f"it refers to subgraph {subgraph}, and there are {len(graphs)}")
    arguments, counts = {}, []
    for name in ("inputs", "outputs"):
        entries = each(name, table.tables(name), lambda _, entry: (entry.text("name"), entry.scalar("tensor_index")))
        arguments[name] = dict(entries)
        counts.append(len(entries))
        for key, tensor in entries:
            if tensor >= len(graphs[subgraph].tensors):
                raise Malformed(f"'{key}' refers to tensor {tensor}, which subgraph {subgraph} does not have")
    return Signature(table.text("signature_key"), subgraph, arguments["inputs"], arguments["outputs"], *counts)


def _view(data: Any, numpy_type: str, size: int, offset: int) -> np.ndarray:
    import numpy as np

    dtype = np.dtype(numpy_type)
    count = size // dtype.itemsize
    return np.frombuffer(data, dtype, count, offset) if count else np.empty(0, dtype)
