"""Outputs whose size the file does not hold, with the real runtime as judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.runtime.verify import choose, verify_each

pytestmark = pytest.mark.judge


def filled(g: ModelBuilder, *, known: bool) -> None:
    """To a size of 4x8, which comes out of an operator that TFLite runs where it is not a constant."""
    size = g.constant(np.array([4, 8], np.int32), "size")
    if not known:
        (low,) = g.op("MINIMUM", [size, g.input((2,), dtype="int32")], [(2,)], dtype="int32")
        (size,) = g.op("MAXIMUM", [size, low], [(2,)], dtype="int32")
    (y,) = g.op("FILL", [size, g.constant(1.0)], [(4, 8)])
    g.output(g.binary("ADD", g.input((4, 8)), y) if known else y)


def tiled(g: ModelBuilder, *, known: bool) -> None:
    x = g.input((1, 8))
    times = g.constant(np.array([2, 3], np.int32), "times")
    (y,) = g.op("TILE", [x, times], [(2, 24) if known else (1, 1)])
    g.tensors[-1].signature = (2, 24) if known else (-1, -1)
    g.output(y)


@pytest.mark.parametrize("make", [filled, tiled])
@pytest.mark.parametrize("known", [True, False])
def test_outcome_is_the_runtimes(make: Callable[..., None], known: bool, tmp_path: Path) -> None:
    g = ModelBuilder()
    make(g, known=known)
    (tmp_path / "m.tflite").write_bytes(g.build())
    (found,) = verify_each([tmp_path / "m.tflite"], choose())
    assert found.plan is not None and found.observation is not None
    assert found.observation.outcome == ("dense" if known else "fails")
    assert found.agrees, found.plan.hazards


@pytest.mark.parametrize("name", ["resize_ranked", "resize_unranked"])
def test_size_computed_at_run_time(name: str) -> None:
    (found,) = verify_each([FIXTURES / "cases" / f"{name}.tflite"], choose())
    assert found.agrees and found.observation is not None
    assert found.observation.outcome == "fails"
    assert "Custom allocation is too small" in (found.observation.error or "")
