"""Transposed convolutions as 1x1 convolutions and DEPTH_TO_SPACE: the same outputs, and an end of a sparse cluster."""

from __future__ import annotations

import numpy as np
import pytest

from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult, search

PROFILE = load_profile("litert-2.3", "x86-sse")
FIX = "upsample-by-depth-to-space"


def segmentation(filters: int = 1, kernel: int = 2, stride: int = 2, behind: str = "LOGISTIC") -> bytes:
    """Pruned 1x1 convolutions, and a transposed one that makes a mask of what they find."""
    builder = ModelBuilder()
    x = builder.conv2d(builder.pad(builder.input((1, 64, 48, 3))), 16, 3, 2, "VALID", fused="RELU")
    for _ in range(4):
        x = builder.conv2d(builder.depthwise(x, fused="RELU"), 64, zeros=0.8, fused="RELU")
    x = builder.transpose_conv(x, filters, kernel, stride)
    builder.output(builder.unary(behind, x) if behind else x)
    return builder.build()


def fixed(data: bytes, **options) -> FileResult:
    return search(data, "model.tflite", FixRequest(PROFILE, **options))


def kinds(result: FileResult) -> set[str]:
    return {change.fix for change in result.changes}


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


@pytest.mark.judge
@pytest.mark.parametrize("behind", ["LOGISTIC", ""])
@pytest.mark.parametrize(("filters", "block"), [(1, 2), (3, 2), (1, 4), (2, 3)])
def test_the_outputs_stay_and_the_convolution_runs_sparse(prover, filters, block, behind):
    data = segmentation(filters, block, block, behind)
    result = fixed(data, even_if_slower=True, ignore=("leave-through-depth-to-space",))
    assert FIX in kinds(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.max_rel_error <= 2e-4
    assert proof.observation.outcome == "sparse"
    assert proof.observation.spmm == 5
    assert len(result.after.spmm) == 4, "what was no 1x1 convolution of the model is none that it gained"


def test_a_mask_leaves_the_cluster_for_less_than_by_going_back_and_forth():
    result = fixed(segmentation())
    assert FIX in kinds(result)
    assert "leave-through-depth-to-space" not in kinds(result)
    assert result.after.microseconds < fixed(segmentation(), ignore=(FIX,)).after.microseconds


def test_where_going_back_and_forth_is_faster_that_is_done():
    """Three filters make twelve, which SpMM computes with all their weights."""
    result = fixed(segmentation(filters=3))
    other = fixed(segmentation(filters=3), ignore=("leave-through-depth-to-space",))
    assert "leave-through-depth-to-space" in kinds(result)
    assert FIX in kinds(other)
    assert result.after.microseconds < other.after.microseconds


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 1), (4, 2)])
def test_kernels_that_overlap_are_left(kernel, stride):
    assert FIX not in kinds(fixed(segmentation(kernel=kernel, stride=stride), everything=True))


def test_the_filters_go_to_their_place_in_the_block():
    before = Edit.open(segmentation(filters=3), "model.tflite").main
    kernel = next(before.constant(op.inputs[1]) for op in before.operators if op.type == "TRANSPOSE_CONV")
    result = fixed(segmentation(filters=3), everything=True, select=(FIX,))
    graph = Edit.open(result.after.data, "model.tflite").main
    spread = next(op for op in graph.operators if op.type == "DEPTH_TO_SPACE")
    (convolution,) = [op for op in graph.operators if spread.inputs[0] in op.outputs]
    flat = graph.constant(convolution.inputs[1])
    assert flat.shape == (12, 1, 1, 64)
    for row in range(2):
        for column in range(2):
            place = (2 * row + column) * 3
            np.testing.assert_array_equal(flat[place : place + 3, 0, 0], kernel[:, row, column])
