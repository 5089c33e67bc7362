"""Attention as one operator, with the real runtime as judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flatbuffers import flexbuffers

from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.runtime.verify import Verification, choose, verify_each
from xnnlint.xnnpack.attention import ATTENTION

pytestmark = pytest.mark.judge
HEADS, STEPS, LENGTH, DEPTH = 4, 6, 8, 16


def operands(g: ModelBuilder, groups: int, *, mask: bool) -> list[Value]:
    shapes = [(1, STEPS, HEADS, DEPTH), (1, LENGTH, groups, DEPTH), (1, LENGTH, groups, DEPTH)]
    return [g.input(shape) for shape in (*shapes, *([(1, 1, STEPS, LENGTH)] if mask else []))]


def verified(g: ModelBuilder, path: Path) -> Verification:
    path.write_bytes(g.build())
    (found,) = verify_each([path], choose())
    return found


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("groups", [1, 2, HEADS])
@pytest.mark.parametrize("options", [{"scale": 0.25}, {"scale": 0.25, "logit_cap": 2.0}, {}])
def test_custom_operator_is_what_the_delegate_makes_of_it(
    groups: int, mask: bool, options: dict[str, float], tmp_path: Path
) -> None:
    g = ModelBuilder()
    given = operands(g, groups, mask=mask)
    stored = bytes(flexbuffers.Dumps(options))
    g.output(*g.op(ATTENTION, given, [given[0].shape], custom=True, custom_options=stored))
    found = verified(g, tmp_path / "m.tflite")
    assert not any(not row.agrees for row in found.rows), found.rows
    names = [row.observed for row in found.rows]
    product = "Dynamic Fully Connected (NC, F32) GEMM" if groups == 1 else "Batch Matrix Multiply (NC, F32) GEMM"
    assert names.count(product) == 2


@pytest.mark.parametrize("depth", [DEPTH, DEPTH // 2])
def test_composite_is_kept_where_the_delegate_takes_it(depth: int, tmp_path: Path) -> None:
    """One whose values are of another depth is inlined: a decomposition of one ADD here, which is no attention."""
    g, inner = ModelBuilder(), ModelBuilder()
    shape = (1, STEPS, HEADS, DEPTH)
    shapes = [shape, shape, (1, STEPS, HEADS, depth)]
    first, *_ = [inner.input(shape) for shape in shapes]
    inner.output(inner.binary("ADD", first, first))
    given = [g.input(shape) for shape in shapes]
    stored = np.frombuffer(flexbuffers.Dumps({"scale": 0.25}), np.uint8)
    options = table(
        "StableHLOCompositeOptions", name=ATTENTION, decomposition_subgraph_index=1, composite_attributes=stored
    )
    g.output(*g.op("STABLEHLO_COMPOSITE", given, [shape], options))
    g.add_subgraph(inner)
    found = verified(g, tmp_path / "m.tflite")
    assert not any(not row.agrees for row in found.rows), found.rows
    assert any("Softmax" in (row.observed or "") for row in found.rows) == (depth == DEPTH)
