"""Outputs whose size the file does not hold, with the real runtime as judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import table
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


def dilated(g: ModelBuilder, *, known: bool) -> None:
    """As TensorFlow writes a dilated convolution on a map of unknown size: padded by what its size leaves of 2."""
    x = g.input((1, 1, 1, 3), signature=(-1, -1, -1, 3))
    (sizes,) = g.op("SHAPE", [x], [(4,)], table("ShapeOptions", out_type=2), dtype="int32")
    one, three, step, two = (g.constant(np.array(n, np.int32)) for n in ([1], [3], [1], [2, 2]))
    (inner,) = g.op("STRIDED_SLICE", [sizes, one, three, step], [(2,)], table("StridedSliceOptions"), dtype="int32")
    (left,) = g.op("FLOOR_MOD", [inner, two], [(2,)], dtype="int32")
    options = table("PackOptions", values_count=2, axis=1)
    (around,) = g.op("PACK", [g.constant(np.zeros(2, np.int32)), left], [(2, 2)], options, dtype="int32")
    (y,) = g.op("SPACE_TO_BATCH_ND", [x, two, around], [(1, 1, 1, 3)])
    g.tensors[-1].signature = (-1, -1, -1, 3)
    if known:  # One pixel, for which there is memory; else four.
        (y,) = g.op("BATCH_TO_SPACE_ND", [y, two, around], [(1, 1, 1, 3)])
        g.tensors[-1].signature = (-1, -1, -1, 3)
    y = g.binary("ADD", y, g.constant(np.ones(3, np.float32)))
    g.tensors[-1].signature = (-1, -1, -1, 3)
    g.output(y)


@pytest.mark.parametrize("make", [filled, tiled, dilated])
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
