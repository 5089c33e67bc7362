"""How a weight is kept in a .tflite file: its zeros, its sparse encoding, its element type."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from msgspec import Struct

from xnnlint.modelbuilder.flatwriter import Table, enum_value, table

Storage = Literal[
    "dense",  # fp32 constant
    "sparse",  # fp32 -> DENSIFY
    "fp16",  # fp16 -> DEQUANTIZE
    "sparse_fp16",  # fp16 -> DENSIFY -> DEQUANTIZE
    "int8",  # int8 -> DEQUANTIZE
    "sparse_int8",  # int8 -> DENSIFY -> DEQUANTIZE
    "int8_direct",  # int8 constant read by the operator itself (dynamic range)
    "sparse_int8_direct",  # int8 -> DENSIFY -> operator
    # Sparse-encoded without a DENSIFY, as the converter stores block-sparse weights of FULLY_CONNECTED:
    "sparse_direct",  # fp32 read by the operator itself
    "sparse_direct_fp16",  # fp16 -> DEQUANTIZE
    "sparse_direct_int8",  # int8 read by the operator itself (dynamic range)
    "sparse_direct_qc8",  # the same with a scale for each channel
    "sparse_direct_int8_dequantize",  # int8 -> DEQUANTIZE
]
STORAGES: tuple[str, ...] = get_args(Storage)


class StoredWeight(Struct, frozen=True):
    """What the file holds for one weight, and how the runtime gets from it to the operator's operand."""

    data: np.ndarray
    sparsity: Table | None
    quantization: Table | None
    densify: bool
    dequantize: bool


def set_zeros(weights: np.ndarray, zeros: int | float, rng: np.random.Generator, block: int = 1) -> np.ndarray:
    """A copy of `weights` with exactly `zeros` elements zero (a float is a share, rounded to the nearest count); with
    blocks along the last dimension that many blocks."""
    blocks = weights.reshape(-1, block).copy()
    count = round(zeros * len(blocks)) if isinstance(zeros, float) else zeros
    blocks[rng.permutation(len(blocks))[:count]] = 0
    return blocks.reshape(weights.shape)


def store(weights: np.ndarray, storage: str, block: int = 1, channel_axis: int | None = None) -> StoredWeight:
    """Encodes fp32 `weights` as `storage` says.

    Args:
        weights: fp32, any rank.
        storage: one of `STORAGES`.
        block: size of blocks along the last dimension in a sparse encoding (1 for none).
        channel_axis: the dimension along which int8 weights have a scale each; None for one scale.

    Raises:
        ValueError: unknown storage, or a last dimension that isn't a multiple of `block`.
    """
    if storage not in STORAGES:
        raise ValueError(f"unknown storage {storage!r}; known are {', '.join(STORAGES)}")
    values: np.ndarray = weights.astype(np.float32)
    quantization = None
    if "fp16" in storage:
        values = values.astype(np.float16)
    elif "int8" in storage or "qc8" in storage:
        others = None if channel_axis is None else tuple(d for d in range(values.ndim) if d != channel_axis)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), np.float32(1e-6)) / np.float32(127)
        values = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
        quantization = quantization_parameters(scale.reshape(-1), 0, channel_axis or 0)
    sparsity = None
    if storage.startswith("sparse"):
        values, sparsity = encode_sparse(values, block)
    return StoredWeight(
        data=values,
        sparsity=sparsity,
        quantization=quantization,
        densify=storage.startswith("sparse") and not storage.startswith("sparse_direct"),
        dequantize="16" in storage or storage in ("int8", "sparse_int8", "sparse_direct_int8_dequantize"),
    )


def quantization_parameters(scale: float | np.ndarray, zero_point: int, axis: int = 0) -> Table:
    """Affine quantization: per tensor, or with several scales per slice along `axis`."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return table(
        "QuantizationParameters",
        scale=scales,
        zero_point=np.full(scales.size, zero_point, np.int64),
        quantized_dimension=axis,
    )


def encode_sparse(weights: np.ndarray, block: int = 1) -> tuple[np.ndarray, Table]:
    """The non-zeros of `weights` and their SparsityParameters, laid out as TensorFlow's converter does.

    Traversal order 0..rank-1, every dimension dense but the last, which is CSR; each index vector in the smallest of
    uint8, uint16 and int32 (LiteRT tflite/converter/transforms/dense_to_sparse_pass.cc and
    tflite/converter/flatbuffer_export.cc, BuildSparsityParameters). A tensor of zeros only keeps one explicit zero,
    since an empty buffer is no constant to TFLite.
    """
    rank = weights.ndim
    if weights.shape[-1] % block:
        raise ValueError(f"last dimension {weights.shape[-1]} is no multiple of the block size {block}")
    rows = weights.reshape(-1, weights.shape[-1] // block, block)
    kept = (rows != 0).any(axis=2)
    if not kept.any():
        kept[0, 0] = True
    segments = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    indices = np.nonzero(kept)[1]
    dense = enum_value("DimensionType", "DENSE")
    dims = [table("DimensionMetadata", format=dense, dense_size=size) for size in weights.shape[:-1]]
    dims.append(
        table(
            "DimensionMetadata",
            format=enum_value("DimensionType", "SPARSE_CSR"),
            **_index_vector("array_segments", segments),
            **_index_vector("array_indices", indices),
        )
    )
    block_map = np.zeros(0, np.int32)
    if block > 1:
        dims.append(table("DimensionMetadata", format=dense, dense_size=block))
        block_map = np.array([rank - 1], np.int32)
    sparsity = table(
        "SparsityParameters",
        traversal_order=np.arange(len(dims), dtype=np.int32),
        block_map=block_map,
        dim_metadata=dims,
    )
    return rows[kept].reshape(-1), sparsity


def _index_vector(name: str, values: np.ndarray) -> dict[str, int | Table]:
    width = next((name for name in ("uint8", "uint16") if values.max() <= np.iinfo(name).max), "int32")
    kind = f"{width.capitalize()}Vector"
    return {
        f"{name}_type": enum_value("SparseIndexVector", kind),
        name: table(kind, values=values.astype(width)),
    }
