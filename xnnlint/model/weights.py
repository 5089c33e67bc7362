"""Weights as the runtime sees them: how many zeros, how they are stored, and their values when they are asked for.

The delegate unpacks constants on their way to an operator (DENSIFY, then DEQUANTIZE), and XNNPACK counts the zeros of
what comes out (xnn_subgraph_rewrite_for_nchw in its src/subgraph.c): both +0.0 and -0.0. Here the same number
comes from the stored values, without unpacking them wherever that is possible.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from xnnlint.errors import XnnlintError
from xnnlint.model import sparse
from xnnlint.model.graph import Graph, Operator, Quantization, Tensor

# The largest tensor that is decoded; a small file can claim a sparse tensor of any size.
MAX_DECODED_BYTES = 1 << 28

_UNPACKING = ("DENSIFY", "DEQUANTIZE")
# Elements per step, so that a step's temporary array stays in the cache.
_CHUNK = 1 << 16
# The bits of a floating-point number that are not its sign.
_WITHOUT_SIGN: dict[str, np.unsignedinteger[Any]] = {
    "FLOAT16": np.uint16(0x7FFF),
    "BFLOAT16": np.uint16(0x7FFF),
    "FLOAT8_E4M3FN": np.uint8(0x7F),
    "FLOAT8_E5M2": np.uint8(0x7F),
}
_WITHOUT_NUMBERS = ("STRING", "RESOURCE", "VARIANT")
_PACKED_BITS = {"INT4": 4, "UINT4": 4, "INT2": 2}


class Measured(Struct, frozen=True):
    """A weight, counted.

    Attributes:
        elements: number of elements of the dense tensor.
        zeros: how many of them are zero to the operator that reads it.
        storage: "sparse" if only non-zero values are stored, with their places; else "dense".
        dtype: TensorType of the stored values by name.
        source: index of the constant tensor that holds the values.
        chain: indices of the operators that unpack it, in order: none, DENSIFY, DEQUANTIZE or both.
        stored_bytes: size of the stored values in the file.
    """

    elements: int
    zeros: int
    storage: Literal["dense", "sparse"]
    dtype: str
    source: int
    chain: tuple[int, ...]
    stored_bytes: int

    @property
    def zero_share(self) -> float:
        return self.zeros / self.elements if self.elements else 0.0


_measured: WeakKeyDictionary[Graph, dict[int, Measured | None]] = WeakKeyDictionary()


def trace(graph: Graph, tensor: int) -> tuple[Tensor | None, tuple[Operator, ...]]:
    """The constant that reaches a tensor directly or through DENSIFY and DEQUANTIZE, and those operators in order.

    The constant is None where the tensor is computed at run time.
    """
    chain: list[Operator] = []
    while not graph.tensors[tensor].is_constant:
        op = graph.producer(tensor)
        if op is None or op.type not in _UNPACKING or len(op.inputs) != 1 or op.inputs[0] < 0 or op in chain:
            return None, ()
        chain.append(op)
        tensor = op.inputs[0]
    return graph.tensors[tensor], tuple(reversed(chain))


def measure(graph: Graph, tensor: int) -> Measured | None:
    """Counts a weight's zeros as the operator that reads it will see them; None if it is not a constant.

    A quantized value is zero where it equals its channel's zero point. (The runtime's NEON code may turn those into
    tiny numbers if the zero point is not 0, which no converter makes for weights.) fp16 values keep zeros in fp32.

    Args:
        graph: the graph.
        tensor: index of the tensor that the operator reads.

    Raises:
        XnnlintError: it can only be counted decoded, and takes more than `MAX_DECODED_BYTES`.
    """
    known = _measured.setdefault(graph, {})
    if tensor not in known:
        known[tensor] = _measure(graph, tensor)
    return known[tensor]


def zeros_among_first(graph: Graph, tensor: int, count: int) -> int:
    """Zeros among a weight's first elements in memory order; 0 if it is not a constant.

    XNNPACK counts only as many elements as the filter's first times its last dimension. Of values that are stored
    sparse, and that no DENSIFY unpacks, it counts what is read instead: them, and what the file holds behind them.

    Raises:
        XnnlintError: as `measure`.
    """
    measured = measure(graph, tensor)
    if measured is None or count <= 0:
        return 0
    source, quantization = graph.tensors[measured.source], _quantization(graph, tensor)
    if source.mapped is not None and source.sparsity is not None and not _is_unpacked(graph, measured):
        zero, values = _zero_point(source, quantization), source.mapped()[:count]
        behind_file = min(count, source.mapped_bytes // values.itemsize) - values.size if zero == 0 else 0
        return behind_file + (_count_equal(values, source.dtype, zero) if zero is not None else 0)
    if count >= measured.elements:
        return measured.zeros
    return _count_zeros(source, quantization, count)


def _is_unpacked(graph: Graph, measured: Measured) -> bool:
    return any(graph.operators[op].type == "DENSIFY" for op in measured.chain)


def decode(graph: Graph, tensor: int, max_bytes: int = MAX_DECODED_BYTES) -> np.ndarray:
    """The values of a constant, or of a weight behind DENSIFY and DEQUANTIZE, as the operator that reads it gets them.

    4-bit and 2-bit integers come as int8 or uint8, bfloat16 as float32, 8-bit floats as the bytes that hold them, and
    strings as an array of `bytes`.

    Args:
        graph: the graph.
        tensor: index of the tensor.
        max_bytes: the largest result.

    Returns:
        An array of the tensor's dense shape; a read-only view of the file where nothing needs decoding.

    Raises:
        XnnlintError: it is not a constant, or larger than `max_bytes`.
    """
    source, chain = trace(graph, tensor)
    if source is None:
        raise XnnlintError(f"tensor {tensor} ({graph.tensors[tensor].name}) is not a constant")
    values = dense_values(source, max_bytes)
    for op in chain:
        if op.type == "DEQUANTIZE":
            values = _dequantize(values, graph.tensors[op.inputs[0]].quantization or source.quantization)
    return values


def count_zeros(array: np.ndarray) -> int:
    """How many elements are zero; of floating-point types -0.0 is zero too.

    numpy converts float16 values one by one to compare them; masking the sign of an integer view gives the same answer
    many times as fast (benchmarks/zero_count.py).
    """
    flat = array.reshape(-1)
    if flat.dtype == np.float16:
        return _count_without_sign(flat.view(np.uint16), _WITHOUT_SIGN["FLOAT16"])
    if flat.dtype.kind not in "fc":
        return flat.size - int(np.count_nonzero(flat))
    return sum(int(np.count_nonzero(chunk == 0)) for chunk in _chunks(flat))


def nonzeros(array: np.ndarray) -> np.ndarray:
    """Which elements are not zero, as `count_zeros` counts them."""
    if array.dtype == np.float16:
        return np.asarray(array.view(np.uint16) & _WITHOUT_SIGN["FLOAT16"] != 0)
    return np.asarray(array != 0)


def _count_without_sign(bits: np.ndarray, mask: np.unsignedinteger[Any]) -> int:
    return bits.size - sum(int(np.count_nonzero(chunk & mask)) for chunk in _chunks(bits))


def _chunks(flat: np.ndarray) -> list[np.ndarray]:
    return [flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK)] if flat.size > _CHUNK else [flat]


def _measure(graph: Graph, tensor: int) -> Measured | None:
    source, chain = trace(graph, tensor)
    if source is None:
        return None
    elements = math.prod(source.shape)
    return Measured(
        elements=elements,
        zeros=_count_zeros(source, _quantization(graph, tensor), elements),
        storage="dense" if source.sparsity is None else "sparse",
        dtype=source.dtype,
        source=source.index,
        chain=tuple(op.index for op in chain),
        stored_bytes=source.stored_bytes,
    )


def _quantization(graph: Graph, tensor: int) -> Quantization | None:
    """The quantization by which a weight's integers mean numbers: DENSIFY keeps it, DEQUANTIZE applies its input's."""
    source, chain = trace(graph, tensor)
    unpacked = next((graph.tensors[op.inputs[0]] for op in chain if op.type == "DEQUANTIZE"), graph.tensors[tensor])
    return unpacked.quantization or (source.quantization if source else None)


def _count_zeros(source: Tensor, quantization: Quantization | None, first: int) -> int:
    """Zeros among the first elements of a constant."""
    if source.dtype in _WITHOUT_NUMBERS:
        return 0
    zero = _zero_point(source, quantization)
    if zero is None or not (source.sparsity is None or sparse.is_one_to_one(source.sparsity)):
        return int(np.count_nonzero(_is_zero(source, quantization).reshape(-1)[:first]))
    values = _stored_values(source)
    if source.sparsity is None:
        return _count_equal(values[:first], source.dtype, zero)
    if first < math.prod(source.shape):
        values = values[sparse.positions(source.sparsity, source.shape) < first]
    # The decoder fills what is not stored with 0, whatever the zero point.
    absent = first - values.size if zero == 0 else 0
    return absent + _count_equal(values, source.dtype, zero)


def _zero_point(source: Tensor, quantization: Quantization | None) -> int | None:
    """The one stored value that means zero, or None where it differs by channel or a scale is 0."""
    if quantization is None or not quantization.scale or "FLOAT" in source.dtype:
        return 0
    points = set(quantization.zero_point)
    return points.pop() if len(points) == 1 and all(quantization.scale) else None


def _is_zero(source: Tensor, quantization: Quantization | None) -> np.ndarray:
    values = dense_values(source, MAX_DECODED_BYTES)
    if source.dtype in _WITHOUT_SIGN and source.dtype.startswith("FLOAT8"):
        return np.asarray(values & _WITHOUT_SIGN[source.dtype] == 0)
    if quantization is None or not quantization.scale or values.dtype.kind == "f":
        return np.asarray(values == 0)
    scale, zero_point = _by_channel(values, quantization)
    return np.asarray((values == zero_point) | (scale == 0))


def _count_equal(values: np.ndarray, dtype: str, zero: int) -> int:
    if dtype in ("BFLOAT16", "FLOAT8_E4M3FN", "FLOAT8_E5M2"):
        return _count_without_sign(values, _WITHOUT_SIGN[dtype])
    return count_zeros(values) if zero == 0 else int(np.count_nonzero(values == zero))


def _stored_values(source: Tensor) -> np.ndarray:
    """The stored values of a constant, one an element: packed integers unpacked, all else a view of the file."""
    assert source.stored is not None
    count = math.prod(source.shape) if source.sparsity is None else sparse.count_stored(source.sparsity)
    values = source.stored()
    return _unpack(values, source.dtype, count) if source.dtype in _PACKED_BITS else values[:count]


def _unpack(packed: np.ndarray, dtype: str, count: int) -> np.ndarray:
    """Integers of 4 or 2 bits, the first one in the lowest bits (UnpackPackedIntToInt8, portable_tensor_utils.cc)."""
    bits = _PACKED_BITS[dtype]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = ((packed[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count]
    if dtype.startswith("U"):
        return values
    sign = 1 << (bits - 1)
    return (values ^ sign).view(np.int8) - np.int8(sign)


def dense_values(source: Tensor, max_bytes: int) -> np.ndarray:
    """A constant in its dense shape and own type, without dequantization.

    Args:
        source: a tensor with data, as `trace` finds it.
        max_bytes: the largest result.

    Raises:
        XnnlintError: it holds no numbers, or is larger than `max_bytes`.
    """
    elements = math.prod(source.shape)
    if source.dtype == "STRING":
        return _strings(source)
    if source.dtype in _WITHOUT_NUMBERS:
        raise XnnlintError(f"tensor {source.index} ({source.name}) holds no numbers but {source.dtype}")
    values = _stored_values(source)
    if elements * values.dtype.itemsize > max_bytes:
        size = f"{elements * values.dtype.itemsize:,} bytes"
        raise XnnlintError(f"tensor {source.index} ({source.name}) takes {size} decoded; the limit is {max_bytes:,}")
    if source.sparsity is not None:
        dense = np.zeros(elements, values.dtype)
        dense[sparse.positions(source.sparsity, source.shape)] = values
        values = dense
    if source.dtype == "BFLOAT16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(source.shape)


def _dequantize(values: np.ndarray, quantization: Quantization | None) -> np.ndarray:
    """DEQUANTIZE to float32 (tflite/kernels/internal/reference/dequantize.h)."""
    if values.dtype.kind == "f" or quantization is None or not quantization.scale:
        return values.astype(np.float32)
    scale, zero_point = _by_channel(values, quantization)
    if len(quantization.scale) > 1:
        # Per channel the runtime multiplies in single precision, per tensor in double.
        scale = scale.astype(np.float32)
        return np.asarray(scale * (values.astype(np.int32) - zero_point).astype(np.float32))
    return np.asarray(scale * (values.astype(np.int32) - zero_point), np.float32)


def _by_channel(values: np.ndarray, quantization: Quantization) -> tuple[np.ndarray, np.ndarray]:
    """Scales (float64) and zero points (int64), shaped so that they meet their channels."""
    shape = [1] * max(values.ndim, 1)
    if len(quantization.scale) > 1:
        shape[quantization.quantized_dimension] = len(quantization.scale)
    return np.array(quantization.scale).reshape(shape), np.array(quantization.zero_point, np.int64).reshape(shape)


def _strings(source: Tensor) -> np.ndarray:
    """A string tensor: a count, that many offsets and the end, then the bytes (tflite/string_util.h)."""
    assert source.stored is not None
    data = source.stored().tobytes()
    count = math.prod(source.shape)
    header = 4 * (count + 2)
    offsets = np.frombuffer(data[:header] if len(data) >= header else bytes(8), "<i4").astype(np.int64)
    if [offsets[0], offsets[1], offsets[-1]] != [count, header, len(data)] or (np.diff(offsets[1:]) < 0).any():
        raise XnnlintError(f"tensor {source.index} ({source.name}) is not a valid string tensor")
    strings = np.empty(count, object)
    strings[:] = [data[a:b] for a, b in pairwise(offsets[1:])]
    return strings.reshape(source.shape)
