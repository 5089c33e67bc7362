"""The bytes that pruned weights take, as a value for reports; `stored_size` finds them."""

from __future__ import annotations

from typing import NamedTuple


class StoredSize(NamedTuple):
    """Bytes of the weights of a model that are pruned: that the file stores sparse, or of which the converter would.

    Attributes:
        now: what they take in the file.
        dense, sparse: what they take stored dense and stored sparse.
        gzipped: what they take stored dense and gzipped; None where that was not tried.
    """

    now: int
    dense: int
    sparse: int
    gzipped: int | None = None
