"""Weights as the converter stores them with EXPERIMENTAL_SPARSITY, encoded only when somebody asks.

Which ones, and how: `xnnlint/model/converter_storage.py`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct

from xnnlint.keras.lower.program import Constant, Node
from xnnlint.model.converter_storage import IN_BLOCKS, WEIGHTED, stores_blocks, stores_sparse
from xnnlint.model.graph import SparseDimension, Sparsity


def is_encoded(node: Node) -> bool:
    """Whether the converter encodes an operator's weights."""
    constant, weights = node.constant(1), node.inputs[1] if len(node.inputs) > 1 else None
    if node.type not in WEIGHTED or constant is None or weights is None or len(weights.shape or ()) not in (2, 4):
        return False
    return stores_sparse(constant.zeros, math.prod(n or 1 for n in weights.shape or ()))


def uses_blocks(node: Node) -> bool:
    """Whether encoded weights are stored in blocks, which the operator reads as they are: no DENSIFY."""
    constant = node.constant(1)
    return constant is not None and node.type == IN_BLOCKS and stores_blocks(constant.array, constant.zeros)


class _Rows(SparseDimension, frozen=True):
    """The compressed last dimension, computed when it is asked for."""

    encoding: Encoding | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in ("segments", "indices"):
            encoding = object.__getattribute__(self, "encoding")
            return getattr(encoding, name)
        return object.__getattribute__(self, name)


class Encoding(Struct, frozen=True, dict=True):
    """A weight as rows of which only the elements (or blocks) that are not zero are stored."""

    constant: Constant
    block: int = 1

    @cached_property
    def _rows(self) -> np.ndarray:
        array = self.constant.array
        rows = array.reshape(-1, array.shape[-1])
        return rows.reshape(rows.shape[0], -1, self.block)

    @cached_property
    def _places(self) -> np.ndarray:
        return np.flatnonzero(self._rows.any(axis=2) if self.block > 1 else self._rows)

    @cached_property
    def segments(self) -> np.ndarray:
        """For each row where its elements start, and at last how many there are."""
        rows, columns = self._rows.shape[:2]
        return np.asarray(np.searchsorted(self._places, np.arange(rows + 1) * columns), np.int32)

    @cached_property
    def indices(self) -> np.ndarray:
        """For each stored element its place in its row."""
        return np.asarray(self._places % self._rows.shape[1], np.int32)

    @cached_property
    def values(self) -> np.ndarray:
        """The stored elements."""
        stored: np.ndarray = self._rows.reshape(-1, self.block)[self._places].reshape(-1)
        stored.flags.writeable = False
        return stored

    def sparsity(self, shape: tuple[int, ...]) -> Sparsity:
        """How it is described in the file: every dimension dense but the last."""
        rank = len(shape)
        dims: list[SparseDimension] = [SparseDimension("DENSE", n) for n in shape[:-1]]
        dims.append(_Rows("SPARSE_CSR", encoding=self))
        if self.block == 1:
            return Sparsity(tuple(range(rank)), (), tuple(dims))
        dims.append(SparseDimension("DENSE", self.block))
        return Sparsity(tuple(range(rank + 1)), (rank - 1,), tuple(dims))
