"""Writes graphs that were made without a file as the .tflite file that they stand for.

A Keras model is lowered to the operators that TensorFlow's converter makes of it; what changes .tflite files needs a
file of these. The converter's own has other versions of operators, and its metadata: what a plan asks for is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xnnlint.loaders.tflite import schema_tables as schema
from xnnlint.model.graph import Graph, Operator, SparseDimension, Sparsity, Tensor
from xnnlint.modelbuilder.flatwriter import FieldValue, Table, enum_value, serialize, table

# OperatorCode.deprecated_builtin_code is an int8; newer operators have this number there.
_PLACEHOLDER_CODE = 127
_UNIONS = ("builtin_options", "builtin_options_2")


def write_graphs(graphs: Sequence[Graph]) -> bytes:
    """The file of subgraphs with these tensors and operators, in the same order.

    Args:
        graphs: without custom operators, as nobody knows what stands for them; quantization is left out.
    """
    buffers: list[bytes] = [b""]  # by convention the first one is empty
    codes: list[tuple[str, int]] = []
    subgraphs = [
        table(
            "SubGraph",
            tensors=[_tensor(tensor, buffers) for tensor in graph.tensors],
            inputs=np.array(graph.inputs, np.int32),
            outputs=np.array(graph.outputs, np.int32),
            operators=[_operator(op, codes) for op in graph.operators],
            name=graph.name,
        )
        for graph in graphs
    ]
    return serialize(
        table(
            "Model",
            version=3,
            operator_codes=[_code(*code) for code in codes],
            subgraphs=subgraphs,
            buffers=[table("Buffer", data=data) if data else table("Buffer") for data in buffers],
        )
    )


def _tensor(tensor: Tensor, buffers: list[bytes]) -> Table:
    buffer = 0
    if tensor.stored is not None and (data := np.ascontiguousarray(tensor.stored()).tobytes()):
        buffers.append(data)
        buffer = len(buffers) - 1
    signature = tensor.shape_signature
    return table(
        "Tensor",
        shape=np.array(tensor.shape, np.int32),
        type=enum_value("TensorType", tensor.dtype),
        buffer=buffer,
        name=tensor.name,
        sparsity=None if tensor.sparsity is None else _sparsity(tensor.sparsity),
        shape_signature=np.array(signature, np.int32) if signature != tensor.shape else None,
        has_rank=tensor.has_rank,
        is_variable=tensor.is_variable,
    )


def _sparsity(sparsity: Sparsity) -> Table:
    return table(
        "SparsityParameters",
        traversal_order=np.array(sparsity.traversal_order, np.int32),
        block_map=np.array(sparsity.block_map, np.int32),
        dim_metadata=[_dimension(dimension) for dimension in sparsity.dims],
    )


def _dimension(dimension: SparseDimension) -> Table:
    fields: dict[str, FieldValue] = {"format": enum_value("DimensionType", dimension.format)}
    for name, values in (("array_segments", dimension.segments), ("array_indices", dimension.indices)):
        if values is not None:
            fields[f"{name}_type"] = enum_value("SparseIndexVector", "Int32Vector")
            fields[name] = table("Int32Vector", values=np.asarray(values, np.int32))
    if dimension.segments is None:
        fields["dense_size"] = dimension.dense_size
    return Table("DimensionMetadata", fields)


def _operator(op: Operator, codes: list[tuple[str, int]]) -> Table:
    if (op.type, op.version) not in codes:
        codes.append((op.type, op.version))
    return table(
        "Operator",
        opcode_index=codes.index((op.type, op.version)),
        inputs=np.array(op.inputs, np.int32),
        outputs=np.array(op.outputs, np.int32),
        **_options(op),
    )


def _options(op: Operator) -> dict[str, FieldValue]:
    kind = schema.options_of().get(op.type)
    if kind is None:
        return {}
    union = next(name for name in _UNIONS if kind in schema.union(schema.table("Operator")[name].type))
    type_ = schema.table("Operator")[union].type
    return {f"{union}_type": enum_value(type_, kind), union: Table(kind, _fields(kind, op.attributes))}


def _fields(kind: str, attributes: Mapping[str, Any]) -> dict[str, FieldValue]:
    """Attributes as the file stores them: enums by number, lists as vectors."""
    fields: dict[str, FieldValue] = {}
    for name, field in schema.table(kind).items():
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, str) and schema.is_enum(field.type):
            value = enum_value(field.type, value)
        fields[name] = np.asarray(value, np.dtype(f"<{field.format}")) if field.is_vector else value
    return fields


def _code(type_: str, version: int) -> Table:
    number = enum_value("BuiltinOperator", type_)
    return table(
        "OperatorCode",
        deprecated_builtin_code=min(number, _PLACEHOLDER_CODE),
        builtin_code=number,
        version=version,
    )
