"""Models that would be wrong or fail are right after a fix, sparse where that is possible; the real runtime decides."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

pytest.importorskip("ai_edge_litert", reason="the editor needs the verify extra")

from xnnlint.fixes.not_made import Why
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite import object_api as schema
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.file_proof import Prover
from xnnlint.fixes.tflite.file_search import FileResult as Result
from xnnlint.fixes.tflite.file_search import search
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import leaks, reached
from xnnlint.fixes.tflite.rescue import rescues, ways

PROFILE = load_profile("litert-2.3", "x86-sse")
PATTERNS = {pattern.name: pattern for pattern in named_patterns()}
PRUNED = 0.8


@pytest.fixture(scope="module")
def prover():
    with Prover() as made:
        yield made


def fixed(data: bytes, **options) -> Result:
    """What a change does is seen in models so small that most do not pay."""
    return search(data, "model.tflite", FixRequest(PROFILE, **{"even_if_slower": True, **options}))


def view(data: bytes) -> View:
    return View(
        Edit.open(data, "model.tflite").main, make_plan(load_bytes(data, "model.tflite"), PROFILE), FixRequest(PROFILE)
    )


def names(result: Result) -> set[str]:
    return {change.fix for change in result.changes}


def trunk(g: ModelBuilder, image: Value | None = None) -> Value:
    """A stem, a depthwise and a pruned 1x1 convolution: a map of 12x20x16."""
    image = g.input((1, 24, 40, 3)) if image is None else image
    x = g.conv2d(g.pad(image), 8, 3, 2, fused="RELU")
    return g.conv2d(g.depthwise(x, fused="RELU"), 16, zeros=PRUNED, storage="sparse", fused="RELU")


def pointwise(g: ModelBuilder, x: Value, filters: int = 16, **options) -> Value:
    return g.conv2d(x, filters, zeros=PRUNED, storage="sparse", **options)


def head(g: ModelBuilder, x: Value) -> None:
    g.output(g.fully_connected(g.mean(x), 5))


# --- each of them ----------------------------------------------------------------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize(
    ("way", "outcome"),
    [("leave-through-depth-to-space", "sparse"), ("split-padding", "dense"), ("store-dense", "dense")],
)
def test_each_way_alone_makes_a_model_right(prover, way, outcome):
    data = PATTERNS["conv_3x3"].build()
    assert make_plan(load_bytes(data, ""), PROFILE).outcome is Outcome.WRONG_RESULTS
    result = fixed(data, select=(way,))
    assert names(result) == {way}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == outcome
    assert proof.max_abs_error == 0.0


@pytest.mark.judge
def test_a_broken_cluster_leaves_the_others_sparse(prover):
    """Two networks in one file; only the one with a 3x3 convolution inside loses its entry."""
    g = ModelBuilder(3)
    head(g, pointwise(g, g.conv2d(trunk(g), 16, 3, padding="SAME")))
    head(g, pointwise(g, trunk(g, g.input((1, 24, 40, 3)))))
    result = fixed(g.build(), select=("split-padding", "store-dense"))
    assert names(result) == {"split-padding"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 2


@pytest.mark.judge
def test_int8_weights_that_do_not_load_are_stored_dense(prover):
    result = fixed(PATTERNS["weights_sparse_int8_direct"].build())
    assert result.before.plan.outcome is Outcome.FAILS
    assert names(result) == {"store-dense"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "dense"


@pytest.mark.judge
def test_fp16_weights_that_nobody_unpacks_are_stored_dense(prover):
    """Only those: the other convolutions stay sparse."""
    result = fixed(PATTERNS["fp16_chain_refused"].build())
    assert result.before.plan.outcome is Outcome.WRONG_RESULTS
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"


@pytest.mark.judge
@pytest.mark.parametrize(
    ("pattern", "outcome"),
    [
        ("fc_sparse_direct_8", "sparse"),
        ("fc_sparse_direct_fp16_4", "sparse"),
        ("fc_sparse_direct_int8_1", "sparse"),
        ("fc_sparse_direct_qc8_16", "sparse"),
        ("fc_sparse_direct_int8_dequantize_16", "sparse"),
        ("conv_sparse_direct", "dense"),
    ],
)
def test_weights_that_their_reader_misreads_are_stored_dense(prover, pattern, outcome):
    """What DENSIFY unpacks stays sparse."""
    result = fixed(PATTERNS[pattern].build())
    assert not result.before.plan.is_correct
    assert names(result) == {"decode-weights"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == outcome
    assert proof.max_abs_error == 0.0


@pytest.mark.judge
@pytest.mark.parametrize("name", ["d06_fc_block16_drq", "g02_cnn_dense99_fp16"])
def test_misread_weights_of_the_converter_are_stored_dense(prover, name):
    result = fixed((FIXTURES / "cases" / f"{name}.tflite").read_bytes())
    assert names(result) == {"decode-weights"} and result.after.plan.is_correct
    proof = prover.prove(result)
    assert proof.passed, proof.reason


@pytest.mark.judge
def test_a_layer_that_sums_sparse_weights_in_its_own_order_is_compared_alike(prover):
    """TFLite's kernel for int8 weights in blocks rounds unlike that for dense ones, in the last bit."""
    g = ModelBuilder(5)
    x = pointwise(g, trunk(g), 28)
    pooled = g.fully_connected(g.mean(x), 96, fused="RELU")
    g.output(x, g.fully_connected(pooled, 26, zeros=0.75, storage="sparse_direct_int8", block=16))
    result = fixed(g.build())
    assert names(result) == {"leave-through-depth-to-space"} and result.after.plan.spmm_ops
    proof = prover.prove(result)
    assert proof.passed and proof.max_abs_error == 0.0, proof.reason


@pytest.mark.judge
@pytest.mark.parametrize("values", ["inputs", "outputs"])
def test_what_shares_a_name_is_named_apart(prover, values):
    g = ModelBuilder(3)
    x, y = g.input((1, 9, 11, 3)), g.input((1, 9, 11, 3))
    outputs = [g.conv2d(x, 4, 3), g.conv2d(y, 5, 3)]
    g.output(*outputs)
    first, second = (x, y) if values == "inputs" else outputs
    g.tensors[second.id].name = g.tensors[first.id].name
    result = fixed(g.build())
    assert names(result) == {"name-apart"}
    proof = prover.prove(result)
    assert proof.passed and proof.max_abs_error == 0.0


@pytest.mark.judge
def test_a_tensor_that_densify_reads_too_keeps_its_encoding(prover):
    g = ModelBuilder(3)
    weights = g.weight((12, 64), 64, 0.75, "sparse_direct")
    x = g.input((1, 64))
    for kernel in (weights, g.densify(weights)):
        g.output(*g.op("FULLY_CONNECTED", [x, kernel], [(1, 12)], table("FullyConnectedOptions")))
    result = fixed(g.build())
    assert names(result) == {"decode-weights"}
    assert [op.type for op in result.after.plan.graph.operators].count("DENSIFY") == 1
    assert result.after.plan.is_correct


@pytest.mark.judge
def test_a_map_that_feeds_another_stem_leaves_its_cluster(prover):
    """Three channels, padded by one, into a 3x3 convolution of stride 2: an entry, which reads NHWC."""
    g = ModelBuilder(4)
    x = pointwise(g, trunk(g), 3)
    x = g.conv2d(g.pad(x), 8, 3, 2)
    head(g, pointwise(g, pointwise(g, x)))
    result = fixed(g.build())
    assert result.before.plan.outcome is Outcome.WRONG_RESULTS
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm >= 4


@pytest.mark.judge
@pytest.mark.parametrize("channels", [3, 5, 16])
def test_a_map_of_any_number_of_channels_leaves_a_cluster_exactly(prover, channels):
    g = ModelBuilder(5)
    x = trunk(g)
    g.output(pointwise(g, x, channels))
    head(g, x)
    result = fixed(g.build(dynamic_batch=True))
    assert names(result) == {"leave-through-depth-to-space"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"
    assert proof.max_abs_error == 0.0
    assert [output.shape[-1] for output in proof.observation.outputs] == [channels, 5]


@pytest.mark.judge
@pytest.mark.parametrize("channels", [1, 3])
def test_a_stem_of_stride_1_enters_through_a_woven_image(prover, channels):
    """As networks for small images begin."""
    g = ModelBuilder(12)
    x = g.conv2d(g.input((1, 13, 10, channels)), 8, 3, 1, "SAME", fused="RELU")
    head(g, pointwise(g, g.depthwise(x)))
    result = fixed(g.build(dynamic_batch=True), ignore=("leave-through-depth-to-space",))
    assert names(result) == {"entry-by-weaving"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 1


@pytest.mark.judge
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, "VALID"), (3, 1, "SAME"), ((1, 3), 1, "SAME"), (3, 2, "SAME")]
)
def test_a_pruned_convolution_goes_tap_by_tap(prover, kernel, stride, padding):
    g = ModelBuilder(7)
    x = g.conv2d(trunk(g), 12, kernel, stride, padding, zeros=0.9, storage="sparse", fused="RELU6")
    head(g, pointwise(g, x))
    result = fixed(g.build(), ignore=("leave-through-depth-to-space",))
    assert "tap-by-tap" in names(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.outcome == "sparse"
    assert 0.0 < proof.max_rel_error <= 1e-5


def test_a_dense_convolution_does_not_go_tap_by_tap():
    """SpMM of dense weights is slower than the dense kernel."""
    assert "tap-by-tap" not in names(fixed(PATTERNS["conv_3x3"].build()))


@pytest.mark.judge
def test_squeeze_and_excite_without_keep_dims_stays_whole(prover):
    """No RESHAPE comes between the pooling and its 1x1 convolutions."""
    result = fixed(PATTERNS["se_no_keep_dims"].build())
    assert "reshape-behind-pooling" not in names(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 4


@pytest.mark.judge
@pytest.mark.parametrize(
    ("pattern", "way"), [("dead_branch", "remove-dead-branch"), ("fp16_bias_fp32_filter", "bias-as-filter")]
)
def test_what_older_runtimes_fail_over_is_mended(prover, pattern, way):
    """LiteRT 1.2 and 1.3 crash over the one, and cannot load the other (docs/runtime-bugs.md)."""
    older = load_profile("litert-1.1", "x86-sse")
    result = search(PATTERNS[pattern].build(), "model.tflite", FixRequest(older))
    assert result.before.plan.outcome is Outcome.FAILS
    assert way in names(result)
    assert result.after.plan.outcome is Outcome.SPARSE
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.max_abs_error == 0.0


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 3, 2])
def test_a_maximum_over_padding_or_many_pixels_is_refused(size):
    """The padding of a maximum is minus infinity, that of a convolution zero; on negative values these differ."""
    g = ModelBuilder(8)
    x = pointwise(g, trunk(g))
    x = g.pool("MAX_POOL_2D", x, size, 1, padding="SAME")
    head(g, pointwise(g, x))
    result = fixed(g.build(), ignore=("leave-through-depth-to-space",))
    assert "maximum-in-steps" not in names(result)
    assert result.after.plan.is_correct
    refused = dict(result.refused)
    assert any("padding" in reason for reason in refused.values()) == (size < 4)
    unfit = [item for item in result.not_made if item.fix == "maximum-in-steps" and item.why is Why.DOES_NOT_FIT]
    assert [item.detail for item in unfit] == (list(refused.values()) if size < 4 else [])


def test_a_map_of_unknown_size_is_not_taken_out_of_its_cluster():
    """The block's factors must be known; the model is made dense instead."""
    g = ModelBuilder(9)
    x = trunk(g, g.input((1, 24, 40, 3), signature=(1, -1, -1, 3)))
    for value in (x, *g.outputs):
        g.tensors[value.id].signature = (1, -1, -1, value.shape[-1])
    g.output(g.softmax(x))
    head(g, pointwise(g, x))
    result = fixed(g.build())
    assert result.after.plan.is_correct
    assert "leave-through-depth-to-space" not in names(result)


def with_computed_shape(g: ModelBuilder, x: Value) -> Value:
    """A RESHAPE of a map to [batch, height, width * channels], as Keras has it of a dynamic batch."""
    sizes = g.op("SHAPE", [x], [(4,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    cuts = [g.constant(np.array([v], np.int32)) for v in (0, 1, 1)]
    options = table("StridedSliceOptions", shrink_axis_mask=1)
    batch = g.op("STRIDED_SLICE", [sizes, *cuts], [()], options, dtype="int32")[0]
    shape = (x.shape[1], x.shape[2] * x.shape[3])
    parts = [batch, *(g.constant(np.array(n, np.int32)) for n in shape)]
    target = g.op("PACK", parts, [(3,)], table("PackOptions", values_count=3), dtype="int32")[0]
    return g.op("RESHAPE", [x, target], [(1, *shape)], table("ReshapeOptions"))[0]


@pytest.mark.judge
@pytest.mark.parametrize("ignore", [(), ("constant-reshape",)], ids=["constant", "behind"])
@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_an_output_of_a_computed_shape_gets_a_buffer(prover, ignore, dynamic_batch):
    g = ModelBuilder(9)
    g.output(with_computed_shape(g, trunk(g)))
    result = fixed(g.build(dynamic_batch=dynamic_batch), ignore=ignore)
    assert result.before.plan.outcome.value == "fails"
    assert ("reshape-outputs" if ignore else "constant-reshape") in names(result)
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 1


@pytest.mark.judge
@pytest.mark.parametrize("name", ["resize_ranked", "resize_unranked"])
def test_an_output_of_a_size_that_the_file_computes_gets_a_buffer(prover, name):
    """Without a batch to be fixed: of inputs of known sizes it is always the same."""
    result = fixed((FIXTURES / "cases" / f"{name}.tflite").read_bytes())
    assert result.before.plan.outcome is Outcome.FAILS
    assert names(result) == {"reshape-outputs"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason


@pytest.mark.judge
def test_an_input_that_is_an_output_is_copied(prover):
    g = ModelBuilder(9)
    image = g.input((1, 24, 40, 3))
    head(g, pointwise(g, trunk(g, image)))
    g.output(image)
    g.signature_key = "serve"
    data = g.build()
    result = fixed(data)
    assert result.before.plan.outcome.value == "wrong-results"
    assert names(result) == {"reshape-outputs"}
    proof = prover.prove(result)
    assert proof.passed, proof.reason
    assert proof.observation.spmm == 2
    before, after = (load_bytes(d, "model.tflite").signatures[0] for d in (data, result.after.data))
    assert list(after.inputs) == list(before.inputs) and list(after.outputs) == list(before.outputs)
    given = schema.read(result.after.data)
    assert {e.tensorIndex for e in given.signatureDefs[0].outputs} == set(given.subgraphs[0].outputs.tolist())


# --- where it leaks --------------------------------------------------------------------------------------------------


def test_leaks_are_the_values_that_somebody_outside_reads():
    g = ModelBuilder(10)
    x = trunk(g)
    inside = pointwise(g, x)
    g.output(g.softmax(x))
    head(g, inside)
    seen = view(g.build())
    (leak,) = leaks(seen)
    assert leak.tensor == g.indexes()[x.id]
    assert [op.type for op in leak.inside] == ["CONV_2D"]
    assert leak.producer.outputs == [leak.tensor]


def test_a_network_that_is_sparse_and_right_leaks_nowhere():
    g = ModelBuilder(11)
    head(g, trunk(g))
    seen = view(g.build())
    assert leaks(seen) == []
    assert {op.type for op in reached(seen)} == {"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN"}


def test_ways_come_in_order_of_preference():
    found = [way.rescue.name for way in ways(view(PATTERNS["conv_3x3"].build()))]
    assert found == sorted(found, key=[rescue.name for rescue in rescues()].index)
    assert set(found) == {"leave-through-depth-to-space", "split-padding", "store-dense"}


def test_leaving_writes_the_old_value_behind_the_pair():
    """Names and order of outputs stay, and nothing computes between the two."""
    result = fixed(PATTERNS["two_heads_pw"].build(), select=("leave-through-depth-to-space",))
    before, after = (state.plan.graph for state in (result.before, result.after))
    assert [after.tensors[t].name for t in after.outputs] == [before.tensors[t].name for t in before.outputs]
    types = [op.type for op in after.operators]
    place = types.index("DEPTH_TO_SPACE")
    assert types[place + 1] == "SPACE_TO_DEPTH"
    spread = after.operators[place]
    assert np.prod(after.tensors[spread.inputs[0]].shape) == np.prod(after.tensors[spread.outputs[0]].shape)
