"""numpy, imported for what reads weights: its matrix product gets no threads, since nothing here multiplies matrices.

Making them takes as long as reading a model does, and more the more processors there are.
"""

from __future__ import annotations

import os

# OpenBLAS, which numpy's wheels bring, reads it once, while it is loaded.
_THREADS = "OPENBLAS_NUM_THREADS"


def import_numpy() -> None:
    """For this process; those that it starts find the environment as it was."""
    given = os.environ.get(_THREADS)
    os.environ.setdefault(_THREADS, "1")
    import numpy  # noqa: F401

    if given is None:
        del os.environ[_THREADS]
