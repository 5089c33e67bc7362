"""Which weights TensorFlow's converter stores sparse with EXPERIMENTAL_SPARSITY, and how.

Every dimension is dense but the last, of which only the elements that are not zero are stored, with their indices.

Source: google-ai-edge/LiteRT tflite/converter/transforms/dense_to_sparse_pass.cc (`kMinSparsityLevel`,
`kBlockOverRandomSparsityRatio`); block sizes from tflite/converter/ir/tfl_ops.td (`GetFloatBlockSize`); the types of
indices from tflite/converter/flatbuffer_export.cc (`BuildSparsityParameters`).
"""

from __future__ import annotations

import numpy as np

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
"""Operators whose weights it looks at."""
MIN_ZERO_SHARE = 0.3
"""Weights with fewer zeros stay dense."""
IN_BLOCKS = "FULLY_CONNECTED"
"""The operator that has a kernel for float weights in blocks of 1x4, if those hold nearly all the zeros."""
BLOCK = 4
_BLOCK_SHARE = 0.9


def stores_sparse(zeros: int, elements: int) -> bool:
    """Whether it stores weights with that many zeros sparse."""
    return elements > 0 and bool(np.float32(zeros / elements) >= np.float32(MIN_ZERO_SHARE))


def stores_blocks(array: np.ndarray, zeros: int) -> bool:
    """Whether it stores sparse weights of an `IN_BLOCKS` operator in blocks."""
    if array.shape[1] % BLOCK:
        return False
    in_blocks = np.float32(empty_in_blocks(array) / array.size) / np.float32(zeros / array.size)
    return bool(in_blocks > np.float32(_BLOCK_SHARE))


def empty_in_blocks(array: np.ndarray) -> int:
    """How many elements of a matrix are in blocks of nothing but zeros."""
    return int((~array.reshape(array.shape[0], -1, BLOCK).any(axis=2)).sum()) * BLOCK


def index_bytes(largest: int) -> int:
    """Bytes of each index of a vector, by the largest of them: the smallest of uint8, uint16 and int32."""
    return 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
