"""The encoding of sparse tensors: which dense element each stored value is.

A sparse-encoded tensor is a tree. Its levels are the tensor's dimensions in traversal order, then those inside a
block; a DENSE level has all its indices, a SPARSE_CSR level lists them. The stored values are the leaves in order.

The semantics are those of FormatConverter::Populate (tflite/kernels/internal/utils/sparsity_format_converter.cc of
google-ai-edge/LiteRT). It checks nothing, and reads or writes out of bounds where an encoding is wrong; the conditions
of `check` are those of VerifyAndCountSparseElements (tflite/core/tools/verifier.cc).
"""

from __future__ import annotations

import math

import numpy as np

from xnnlint.model.graph import SparseDimension, Sparsity


def check(sparsity: Sparsity, shape: tuple[int, ...], stored: int) -> None:
    """Checks that an encoding describes a tensor of this shape and as many values as are stored.

    Args:
        sparsity: the encoding.
        shape: the dense shape.
        stored: how many values the file holds for it; more than the encoding uses are tolerated, as by the runtime.

    Raises:
        ValueError: what is wrong, in words.
    """
    _check_order(sparsity, len(shape))
    sizes = _level_sizes(sparsity, shape)
    nodes = 1
    for level, (dimension, size) in enumerate(zip(sparsity.dims, sizes, strict=True)):
        nodes = _check_level(level, dimension, size, nodes)
    if nodes > stored:
        raise ValueError(f"its sparsity describes {nodes:,} values, and {stored:,} are stored")
    last = sum((size - 1) * weight for size, weight in zip(sizes, _weights(sparsity, shape), strict=True))
    if nodes and last >= math.prod(shape):
        raise ValueError("the blocks of its sparsity reach outside of it")


def count_stored(sparsity: Sparsity) -> int:
    """How many stored values a checked encoding uses."""
    nodes = 1
    for dimension in sparsity.dims:
        nodes = nodes * dimension.dense_size if dimension.indices is None else len(dimension.indices)
    return nodes


def positions(sparsity: Sparsity, shape: tuple[int, ...]) -> np.ndarray:
    """Where the stored values of a checked encoding belong: int64 indices into the flat dense tensor, in file order."""
    flat = np.zeros(1, np.int64)
    for dimension, weight in zip(sparsity.dims, _weights(sparsity, shape), strict=True):
        if dimension.indices is None or dimension.segments is None:
            steps = np.arange(dimension.dense_size, dtype=np.int64) * weight
            flat = (flat[:, None] + steps).ravel()
        else:
            starts = dimension.segments.astype(np.int64)
            counts = starts[1:] - starts[:-1]
            flat = np.repeat(flat, counts) + dimension.indices.astype(np.int64) * weight
    return flat


def is_one_to_one(sparsity: Sparsity) -> bool:
    """Whether no two stored values of a checked encoding are the same element, so that counting needs no decoding."""
    if list(sparsity.block_map) != sorted(set(sparsity.block_map)):
        return False
    order = sparsity.traversal_order
    if list(order[len(order) - len(sparsity.block_map) :]) != sorted(order[len(order) - len(sparsity.block_map) :]):
        return False
    return all(_increases_in_segments(dimension) for dimension in sparsity.dims)


def _increases_in_segments(dimension: SparseDimension) -> bool:
    """Whether the indices of a compressed level rise within each of its segments; true for a dense level."""
    segments, indices = dimension.segments, dimension.indices
    if segments is None or indices is None:
        return True
    falls = indices[1:] <= indices[:-1]
    starts = segments.astype(np.int64)
    starts = starts[(starts > 0) & (starts < len(indices))]
    falls[starts - 1] = False
    return not falls.any()


def _check_order(sparsity: Sparsity, rank: int) -> None:
    order, blocks = sparsity.traversal_order, len(sparsity.block_map)
    if sorted(order[:rank]) != list(range(rank)) or sorted(order[rank:]) != list(range(rank, rank + blocks)):
        raise ValueError(
            f"its sparsity has the traversal order {list(order)} and the block map {list(sparsity.block_map)},"
            f" which do not fit its {rank} dimensions"
        )
    if len(sparsity.dims) != len(order):
        raise ValueError(f"its sparsity has {len(order)} levels and describes {len(sparsity.dims)}")
    if any(not 0 <= d < rank for d in sparsity.block_map):
        raise ValueError(f"its sparsity has the block map {list(sparsity.block_map)}, and it has {rank} dimensions")
    for level in range(rank, rank + blocks):
        if sparsity.dims[level].indices is not None or sparsity.dims[level].dense_size <= 0:
            raise ValueError(f"its sparse level {level} lies inside a block and is not dense")


def _level_sizes(sparsity: Sparsity, shape: tuple[int, ...]) -> list[int]:
    """How many indices each level has: dimensions count in blocks where they have any."""
    rank = len(shape)
    sizes = list(shape) + [0] * len(sparsity.block_map)
    for level in range(rank, len(sparsity.dims)):
        dimension = sparsity.traversal_order[level]
        size = sparsity.dims[level].dense_size
        sizes[dimension] = size
        sizes[sparsity.block_map[dimension - rank]] //= size
    return [sizes[dimension] for dimension in sparsity.traversal_order]


def _check_level(level: int, dimension: SparseDimension, size: int, nodes: int) -> int:
    """Checks one level below `nodes` nodes, and gives the number of nodes that it has itself."""
    segments, indices = dimension.segments, dimension.indices
    if indices is None or segments is None:
        if dimension.dense_size != size:
            raise ValueError(f"its sparse level {level} is dense with {dimension.dense_size} indices instead of {size}")
        return nodes * size
    if len(segments) != nodes + 1:
        raise ValueError(f"its sparse level {level} has {len(segments) - 1} segments for {nodes:,} nodes")
    if segments[0] != 0 or segments[-1] != len(indices) or (segments[1:] < segments[:-1]).any():
        raise ValueError(f"the segments of its sparse level {level} do not divide its {len(indices):,} indices")
    if len(indices) and not 0 <= indices.min() <= indices.max() < size:
        raise ValueError(f"its sparse level {level} has an index outside of 0 to {size - 1}")
    return len(indices)


def _weights(sparsity: Sparsity, shape: tuple[int, ...]) -> list[int]:
    """By how much one index of each level moves in the flat dense tensor."""
    rank = len(shape)
    strides = [math.prod(shape[d + 1 :]) for d in range(rank)]
    sizes = _runtime_block_sizes(sparsity, rank)
    weights = [strides[d] for d in sparsity.traversal_order[:rank]]
    for level in range(rank, len(sparsity.dims)):
        block = sparsity.traversal_order[level] - rank
        mapped = sparsity.block_map[block]
        # A block's index is added to the block's position, which counts in blocks.
        for outer in range(level):
            outer_dimension = sparsity.traversal_order[outer]
            if outer_dimension == mapped or (outer >= rank and sparsity.block_map[outer_dimension - rank] == mapped):
                weights[outer] *= sizes[block]
        weights.append(strides[mapped])
    return weights


def _runtime_block_sizes(sparsity: Sparsity, rank: int) -> list[int]:
    """Block sizes as InitSparseToDenseConverter finds them: 0 for those that its pass over the dimensions misses."""
    sizes = [0] * len(sparsity.block_map)
    block = 0
    for dimension in range(rank):
        if block < len(sizes) and sparsity.block_map[block] == dimension:
            sizes[block] = sparsity.dims[sparsity.traversal_order[rank + block]].dense_size
            block += 1
    return sizes
