"""From what a builder collected to the bytes of a .tflite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from xnnlint.modelbuilder.flatwriter import FILE_IDENTIFIER, Table, enum_value, serialize, table

_DTYPE_NAMES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int4": "INT4",
    "int8": "INT8",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}
# OperatorCode.deprecated_builtin_code is an int8; newer operators put this number there (schema.fbs, BuiltinOperator).
_PLACEHOLDER_CODE = 127


@dataclass(frozen=True)
class Value:
    """A tensor of the model being built: its number in the order of making, and its shape (NHWC where rank 4)."""

    id: int
    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float = 0.0
    zero_point: int = 0

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass
class TensorRecord:
    """A tensor as the builder collected it; constants have data."""

    value: Value
    name: str
    data: np.ndarray | None = None
    sparsity: Table | None = None
    quantization: Table | None = None
    signature: tuple[int, ...] | None = None
    is_input: bool = False


@dataclass
class OperatorRecord:
    """An operator as the builder collected it, its tensors by value id."""

    code: str  # builtin operator's name, or the custom code
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    version: int
    custom: bool
    custom_options: bytes | None


@dataclass(eq=False)
class Subgraph:
    """A subgraph as the builder collected it.

    Attributes:
        signature_key: the name of its signature, None where it has none.
        tensor_order: the values' ids by tensor index; None for the order of the converter.
    """

    name: str
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    tensors: list[TensorRecord] = field(default_factory=list)
    operators: list[OperatorRecord] = field(default_factory=list)
    signature_key: str | None = None
    tensor_order: list[int] | None = None

    def indexes(self) -> dict[int, int]:
        """Tensor index in the file by value id."""
        order = self.tensor_order
        if order is None:
            ids = range(len(self.tensors))
            # The converter numbers inputs first, then constants, then results in the order of the operators.
            results = [o for op in self.operators for o in op.outputs]
            first = [i for i in ids if self.tensors[i].is_input]
            constants = [i for i in ids if self.tensors[i].data is not None]
            order = first + constants + results
        return {value: index for index, value in enumerate(order)}


def write_model(
    graphs: Sequence[Subgraph],
    *,
    identifier: bool,
    dynamic_batch: bool,
    metadata: Mapping[str, bytes],
    weights_outside: bool,
    description: str,
) -> bytes:
    """The file with these subgraphs; the other arguments are those of `ModelBuilder.build`."""
    file = _FileWriter(dynamic_batch)
    subgraphs = [file.subgraph(g) for g in graphs]
    entries = [table("Metadata", name=k, buffer=file.buffer(v)) for k, v in metadata.items()]
    signatures = [_signature(g, number) for number, g in enumerate(graphs)]
    root = table(
        "Model",
        version=3,
        operator_codes=file.operator_codes,
        subgraphs=subgraphs,
        description=description,
        metadata=entries or None,
        signature_defs=[s for s in signatures if s is not None] or None,
    )
    mark = FILE_IDENTIFIER if identifier else None
    if not weights_outside:
        root.fields["buffers"] = [table("Buffer", data=data) if data else table("Buffer") for data in file.buffers]
        return serialize(root, mark)
    # The places are known only once the flatbuffer's length is, which doesn't depend on them: write it twice.
    start = 16
    for _ in range(2):
        root.fields["buffers"], tail = _outside(file.buffers, start)
        head = serialize(root, mark)
        start = -(-len(head) // 16) * 16
    return head.ljust(start, b"\0") + tail


class _FileWriter:
    """Collects what the subgraphs of one file share: buffers and operator codes."""

    def __init__(self, dynamic_batch: bool) -> None:
        self.dynamic_batch = dynamic_batch
        self.buffers: list[bytes] = [b""]  # by convention the first buffer is empty
        self._codes: list[tuple[str, int, bool]] = []

    def buffer(self, data: bytes) -> int:
        self.buffers.append(data)
        return len(self.buffers) - 1

    @property
    def operator_codes(self) -> list[Table]:
        return [_operator_code(*code) for code in self._codes]

    def subgraph(self, graph: Subgraph) -> Table:
        index = graph.indexes()
        in_order = sorted(graph.tensors, key=lambda t: index[t.value.id])
        return table(
            "SubGraph",
            tensors=[self._tensor(t) for t in in_order],
            inputs=np.array([index[v.id] for v in graph.inputs], np.int32),
            outputs=np.array([index[v.id] for v in graph.outputs], np.int32),
            operators=[self._operator(op, index) for op in graph.operators],
            name=graph.name,
        )

    def _tensor(self, tensor: TensorRecord) -> Table:
        value, data = tensor.value, tensor.data
        signature = tensor.signature
        if signature is None and self.dynamic_batch and data is None and value.rank > 1:
            signature = (-1, *value.shape[1:])
        return table(
            "Tensor",
            shape=np.array(value.shape, np.int32),
            type=enum_value("TensorType", _DTYPE_NAMES[value.dtype]),
            buffer=0 if data is None else self.buffer(np.ascontiguousarray(data).tobytes()),
            name=tensor.name,
            quantization=tensor.quantization,
            sparsity=tensor.sparsity,
            shape_signature=None if signature is None else np.array(signature, np.int32),
        )

    def _operator(self, op: OperatorRecord, index: Mapping[int, int]) -> Table:
        code = (op.code, op.version, op.custom)
        if code not in self._codes:
            self._codes.append(code)
        fields: dict[str, int | Table | np.ndarray] = {}
        if op.options is not None:
            # Options of newer operators are in a second union.
            name = "builtin_options_2" if op.options.kind.startswith("StableHLO") else "builtin_options"
            union = "BuiltinOptions2" if name.endswith("2") else "BuiltinOptions"
            fields[f"{name}_type"] = enum_value(union, op.options.kind)
            fields[name] = op.options
        if op.custom_options is not None:
            fields["custom_options"] = np.frombuffer(op.custom_options, np.uint8)
        return table(
            "Operator",
            opcode_index=self._codes.index(code),
            inputs=np.array([index.get(i, -1) for i in op.inputs], np.int32),
            outputs=np.array([index[o] for o in op.outputs], np.int32),
            **fields,
        )


def _operator_code(code: str, version: int, custom: bool) -> Table:
    number = enum_value("BuiltinOperator", "CUSTOM" if custom else code)
    return table(
        "OperatorCode",
        deprecated_builtin_code=min(number, _PLACEHOLDER_CODE),
        builtin_code=number,
        custom_code=code if custom else None,
        version=version,
    )


def _signature(graph: Subgraph, number: int) -> Table | None:
    if graph.signature_key is None:
        return None
    index = graph.indexes()

    def maps(values: Sequence[Value], word: str) -> list[Table]:
        return [table("TensorMap", name=f"{word}_{i}", tensor_index=index[v.id]) for i, v in enumerate(values)]

    return table(
        "SignatureDef",
        inputs=maps(graph.inputs, "input"),
        outputs=maps(graph.outputs, "output"),
        signature_key=graph.signature_key,
        subgraph_index=number,
    )


def _outside(buffers: Sequence[bytes], start: int) -> tuple[list[Table], bytes]:
    """Buffer tables that point behind the flatbuffer, from `start` on, and the bytes that belong there."""
    tables, tail = [], bytearray()
    for data in buffers:
        if data:
            tables.append(table("Buffer", offset=start + len(tail), size=len(data)))
            tail += data + bytes(-len(data) % 16)
        else:
            tables.append(table("Buffer"))
    return tables, bytes(tail)
