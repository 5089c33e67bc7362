"""Changes of what a model computes, and pruning: only where they were asked for, and sparse in the real run."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.model.weights import decode
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult as Result
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.operator_changes.magnitude_pruning import prune

PROFILE = load_profile("litert-2.3", "x86-sse")
PATTERNS = {pattern.name: pattern for pattern in named_patterns()}


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


def fixed(data: bytes, **options) -> Result:
    """What a change does is seen in models so small that most do not pay."""
    return search(data, "model.tflite", FixRequest(PROFILE, **{"even_if_slower": True, **options}))


def names(result: Result) -> set[str]:
    return {change.fix for change in result.changes}


@pytest.mark.judge
def test_int8_weights_are_unpacked_on_request(prover):
    """The reference kernels round the activations to 8 bits where the weights are int8, and no longer do."""
    result = fixed(PATTERNS["weights_sparse_int8_direct"].build(), unsafe=True)
    assert names(result) == {"dequantize-weights"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"
    assert 0 < proof.max_rel_error < 0.05


def test_of_a_safe_and_an_unsafe_fix_the_faster_is_made():
    """Zero taps keep what the model computes, and take 25 multiplications in the place of 9."""
    data = PATTERNS["dw_s2_same_even"].build()
    safe, unsafe = fixed(data), fixed(data, unsafe=True)
    assert names(safe) == {"zero-taps"}
    assert names(unsafe) == {"padding-on-all-sides"}
    assert unsafe.after.microseconds < safe.after.microseconds


# --- pruning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.99])
def test_the_largest_weights_are_kept(share):
    values = np.random.default_rng(0).permutation(np.arange(1, 201)).astype(np.float32).reshape(10, 1, 1, 20)
    values[::2] *= -1
    pruned = prune(values, share)
    kept = np.abs(pruned[pruned != 0])
    assert sorted(kept) == list(range(200 - round(200 * (1 - share)) + 1, 201))
    assert np.array_equal(pruned[pruned != 0], values[pruned != 0])


def test_equal_weights_are_kept_together_and_one_always_is():
    """As TFMOT's mask has it: everything as large as the smallest weight kept."""
    assert np.count_nonzero(prune(np.full((4, 1, 1, 4), 0.5, np.float32), 0.9)) == 16
    assert np.count_nonzero(prune(np.arange(16, dtype=np.float32).reshape(4, 1, 1, 4), 1.0)) == 1


@pytest.mark.judge
def test_pruning_shows_the_speed_of_a_network_that_is_not_pruned(prover):
    data = (FIXTURES / "guide_unpruned.tflite").read_bytes()
    result = fixed(data, unsafe=True, prune=0.8)
    assert {"prune", "encode-zeros"} <= names(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert result.before.plan.outcome is Outcome.DENSE
    assert proof.observation.spmm == result.after.plan.summary.pointwise_convs > 0
    summary = result.after.plan.summary
    assert summary.pointwise_zeros / summary.pointwise_params == pytest.approx(0.8, abs=0.02)
    assert any("trained again" in change.effect for change in result.changes)
    assert len(result.after.data) < len(result.before.data)


@pytest.mark.judge
def test_fp16_weights_are_pruned_as_fp16(prover):
    g = ModelBuilder(2)
    x = g.conv2d(g.pad(g.input((1, 24, 40, 3))), 8, 3, 2, storage="fp16")
    for filters in (16, 24):
        x = g.conv2d(g.depthwise(x, storage="fp16"), filters, storage="fp16")
    g.output(g.fully_connected(g.mean(x), 5))
    result = fixed(g.build(), unsafe=True, prune=0.75)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 2
    graph = result.after.plan.graph
    assert {graph.tensors[op.inputs[0]].dtype for op in graph.operators if op.type == "DENSIFY"} == {"FLOAT16"}


@pytest.mark.judge
def test_weights_that_are_stored_sparse_are_pruned_further(prover):
    """Half of the weights are zeros, which is too few for the runtime."""
    data = (FIXTURES / "guide_half.tflite").read_bytes()
    result = fixed(data, unsafe=True, prune=0.9)
    assert "prune" in names(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"


def test_only_what_could_run_sparse_is_pruned():
    """A 1x1 convolution in front of the stem, and one behind a SOFTMAX, keep their weights."""
    g = ModelBuilder(3)
    early = g.conv2d(g.input((1, 24, 40, 3)), 3, name="early")
    x = g.conv2d(g.pad(early), 8, 3, 2)
    x = g.conv2d(g.depthwise(x), 16, name="inside")
    g.output(g.conv2d(g.softmax(x), 7, name="late"), g.fully_connected(g.mean(x), 5))
    result = fixed(g.build(), unsafe=True, prune=0.8, ignore=("activation-closest",))
    assert {change.place for change in result.changes if change.fix == "prune"} == {"inside_1"}
    graph = result.after.plan.graph
    zeros = {
        op.name.split("_")[0]: np.mean(decode(graph, op.inputs[1]) == 0)
        for op in graph.operators
        if op.type == "CONV_2D"
    }
    assert zeros["early"] == zeros["late"] == 0
    assert zeros["inside"] == pytest.approx(0.8, abs=0.02)


def test_without_the_option_nothing_is_pruned():
    data = (FIXTURES / "guide_unpruned.tflite").read_bytes()
    assert fixed(data, unsafe=True).changes == ()
    assert load_bytes(fixed(data, unsafe=True).after.data, "model.tflite").main.operators
