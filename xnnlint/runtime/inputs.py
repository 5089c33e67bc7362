"""Random inputs, the same bytes for every run that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# LiteRtElementType (litert/c/litert_model_types.h) equals TfLiteType (tflite/core/c/c_api_types.h).
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.int32),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int64),
    6: np.dtype(np.bool_),
    7: np.dtype(np.int16),
    9: np.dtype(np.int8),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    13: np.dtype(np.uint64),
    16: np.dtype(np.uint32),
    17: np.dtype(np.uint16),
}


def random_tensor(shape: Sequence[int], dtype: np.dtype[Any], seed: Sequence[int]) -> np.ndarray:
    """Floats uniform in [-1, 1); 8-bit integers over their whole range; wider integers, which tend to be indices,
    only 0 or 1; booleans either way.

    Args:
        shape: sizes; below 1 (dynamic) counts as 1.
        seed: any integers; the same ones give the same tensor.
    """
    rng = np.random.default_rng(list(seed))
    sizes = [max(1, size) for size in shape]
    if dtype.kind == "f":
        return rng.uniform(-1, 1, sizes).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, sizes).astype(dtype)
    if dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, sizes, endpoint=True).astype(dtype)
    return rng.integers(0, 2, sizes).astype(dtype)


def write_inputs(tensors: Sequence[Mapping[str, Any]], seeds: Sequence[int], folder: Path) -> list[dict[int, str]]:
    """One raw file per seed and input tensor; returns, per seed, the files by tensor index.

    Raises:
        ValueError: an input has a type without a plain memory layout (a string, a resource).
    """
    written = []
    for number, seed in enumerate(seeds):
        files = {}
        for position, tensor in enumerate(tensors):
            if tensor["type"] not in DTYPES:
                raise ValueError(f"input {tensor['name']!r} has element type {tensor['type']}, which cannot be random")
            data = random_tensor(tensor["shape"], DTYPES[tensor["type"]], (seed, position))
            target = folder / f"seed{number}-input{position}"
            target.write_bytes(data.tobytes())
            files[int(tensor["index"])] = str(target)
        written.append(files)
    return written
