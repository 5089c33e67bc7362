"""The flatbuffer builder: what it writes is what TensorFlow's converter writes, and the real runtime runs it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tflite

from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.modelbuilder.patterns import named_patterns
from xnnlint.modelbuilder.storage import STORAGES, encode_sparse, set_zeros, store


def parse(model: bytes) -> tflite.Model:
    return tflite.Model.GetRootAs(model, 0)


def small_network(storage: str = "sparse", zeros: float = 0.75, seed: int = 3) -> ModelBuilder:
    g = ModelBuilder(seed)
    x = g.conv2d(g.pad(g.input((1, 12, 18, 3))), 8, 3, 2, fused="RELU")
    x = g.conv2d(x, 12, zeros=zeros, storage=storage)
    g.output(g.fully_connected(g.mean(x), 5))
    return g


def run(model: bytes, seed: int = 0) -> list[np.ndarray]:
    """Outputs of TFLite's own kernels, without any delegate."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], rng.uniform(-1, 1, detail["shape"]).astype(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


# -- sparse encoding ---------------------------------------------------------------------------------------------------


def test_sparse_encoding_is_csr_in_the_last_dimension() -> None:
    weights = np.array([[0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 3]], np.float32).reshape(3, 1, 1, 4)
    values, sparsity = encode_sparse(weights)
    assert values.tolist() == [2, 1, 3]
    assert sparsity.fields["traversal_order"].tolist() == [0, 1, 2, 3]
    assert sparsity.fields["block_map"].tolist() == []
    dims = sparsity.fields["dim_metadata"]
    assert [d.fields["dense_size"] for d in dims[:3]] == [3, 1, 1]
    assert dims[3].fields["array_segments"].fields["values"].tolist() == [0, 1, 1, 3]
    assert dims[3].fields["array_indices"].fields["values"].tolist() == [1, 0, 3]
    assert dims[3].fields["format"] == tflite.DimensionType.SPARSE_CSR


def test_sparse_encoding_with_blocks_has_one_more_dense_dimension() -> None:
    weights = np.array([[0, 0, 5, 6], [7, 0, 0, 0]], np.float32)
    values, sparsity = encode_sparse(weights, block=2)
    assert values.tolist() == [5, 6, 7, 0]
    assert sparsity.fields["block_map"].tolist() == [1]
    dims = sparsity.fields["dim_metadata"]
    assert [d.fields.get("dense_size") for d in dims] == [2, None, 2]
    assert dims[1].fields["array_segments"].fields["values"].tolist() == [0, 1, 2]
    assert dims[1].fields["array_indices"].fields["values"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "columns", "segments", "indices"),
    [
        (51, 5, "Uint8Vector", "Uint8Vector"),  # 255 non-zeros
        (64, 4, "Uint16Vector", "Uint8Vector"),  # 256 non-zeros
        (1, 257, "Uint16Vector", "Uint16Vector"),  # largest index 256
        (512, 128, "Int32Vector", "Uint8Vector"),  # 65536 non-zeros
    ],
)
def test_index_vectors_have_the_smallest_type(rows: int, columns: int, segments: str, indices: str) -> None:
    _, sparsity = encode_sparse(np.ones((rows, columns), np.float32))
    last = sparsity.fields["dim_metadata"][-1].fields
    assert last["array_segments"].kind == segments
    assert last["array_indices"].kind == indices


def test_a_weight_of_zeros_only_keeps_an_explicit_zero() -> None:
    values, _ = encode_sparse(np.zeros((4, 1, 1, 6), np.float32))
    assert values.tolist() == [0]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("zeros", [0, 63, 64, 65, 95])
def test_zero_counts_are_exact_in_every_storage(storage: str, zeros: int) -> None:
    g = ModelBuilder(7)
    x = g.input((1, 6, 5, 8))
    g.conv2d(x, 12, zeros=zeros, storage=storage)
    stored = next(t for t in g.tensors if t.name.endswith("/kernel"))
    assert np.count_nonzero(stored.data) == 96 - zeros
    assert (stored.sparsity is not None) == storage.startswith("sparse")


def test_set_zeros_takes_a_share_or_a_count() -> None:
    weights = np.ones((10, 10), np.float32)
    rng = np.random.default_rng(0)
    assert (set_zeros(weights, 0.37, rng) == 0).sum() == 37
    assert (set_zeros(weights, 5, rng) == 0).sum() == 5
    assert weights.all(), "the argument is left alone"


def test_unknown_storage_is_refused() -> None:
    with pytest.raises(ValueError, match="fp8"):
        store(np.ones((2, 2), np.float32), "fp8")


# -- the file ----------------------------------------------------------------------------------------------------------


def operator_names(model: bytes) -> list[str]:
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    parsed = parse(model)
    subgraph = parsed.Subgraphs(0)
    codes = [parsed.OperatorCodes(subgraph.Operators(i).OpcodeIndex()) for i in range(subgraph.OperatorsLength())]
    return [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]


def test_operators_come_in_the_order_of_making_with_densify_before_its_reader() -> None:
    expected = ["PAD", "CONV_2D", "DENSIFY", "DEQUANTIZE", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    assert operator_names(small_network("sparse_fp16").build()) == expected


def test_newer_operators_use_the_wide_code() -> None:
    g = ModelBuilder()
    g.output(g.unary("GELU", g.input((1, 2, 2, 3)), approximate=False))
    code = parse(g.build()).OperatorCodes(0)
    assert (code.DeprecatedBuiltinCode(), code.BuiltinCode()) == (127, tflite.BuiltinOperator.GELU)


def test_custom_operators_carry_their_code_and_options() -> None:
    g = ModelBuilder()
    g.output(*g.custom_op("Convolution2DTransposeBias", [g.input((1, 2, 2, 3))], [(1, 4, 4, 3)], b"\x01\x02"))
    model = parse(g.build())
    assert model.OperatorCodes(0).CustomCode() == b"Convolution2DTransposeBias"
    assert model.Subgraphs(0).Operators(0).CustomOptionsAsNumpy().tolist() == [1, 2]


def test_tensor_indexes_are_inputs_then_constants_then_results() -> None:
    g = small_network()
    indexes = g.indexes()
    groups = ["input" if t.is_input else "constant" if t.data is not None else "result" for t in g.tensors]
    in_order = [groups[v] for v in sorted(indexes, key=lambda v: indexes[v])]
    assert in_order == sorted(in_order, key=["input", "constant", "result"].index)


def test_shuffled_operators_stay_in_topological_order() -> None:
    orders = set()
    for seed in range(20):
        g = small_network("sparse_fp16")
        g.shuffle_operators(np.random.default_rng(seed))
        model = parse(g.build())
        subgraph = model.Subgraphs(0)
        operators = [subgraph.Operators(i) for i in range(subgraph.OperatorsLength())]
        made = {o: n for n, op in enumerate(operators) for o in op.OutputsAsNumpy().tolist()}
        for number, op in enumerate(operators):
            assert all(made.get(i, -1) < number for i in op.InputsAsNumpy().tolist())
        orders.add(tuple(operator_names(g.build())))
    assert len(orders) > 3


def test_shape_signature_and_signatures_and_metadata() -> None:
    g = small_network()
    g.signature_key = "serving_default"
    model = parse(g.build(dynamic_batch=True, metadata={"reduced_precision_support": b"fp16accfp16"}))
    subgraph = model.Subgraphs(0)
    tensor = subgraph.Tensors(subgraph.Inputs(0))
    assert tensor.ShapeAsNumpy().tolist() == [1, 12, 18, 3]
    assert tensor.ShapeSignatureAsNumpy().tolist() == [-1, 12, 18, 3]
    assert model.SignatureDefs(0).SignatureKey() == b"serving_default"
    assert model.SignatureDefs(0).Inputs(0).TensorIndex() == subgraph.Inputs(0)
    assert model.Metadata(0).Name() == b"reduced_precision_support"
    assert model.Buffers(model.Metadata(0).Buffer()).DataAsNumpy().tobytes() == b"fp16accfp16"


def test_several_subgraphs_share_the_file() -> None:
    g, other = small_network(), small_network(seed=9)
    g.signature_key, other.signature_key, other.name = "first", "second", "other"
    g.add_subgraph(other)
    model = parse(g.build())
    assert model.SubgraphsLength() == 2
    assert model.Subgraphs(1).Name() == b"other"
    assert [model.SignatureDefs(i).SubgraphIndex() for i in range(2)] == [0, 1]


def test_the_identifier_can_be_left_out() -> None:
    g = small_network()
    assert g.build()[4:8] == b"TFL3"
    bare = g.build(identifier=False)
    assert bare[4:8] != b"TFL3"
    assert parse(bare).SubgraphsLength() == 1


def test_weights_outside_are_the_same_bytes_behind_the_flatbuffer() -> None:
    g = small_network()
    inside, outside = g.build(), g.build(weights_outside=True)
    a, b = parse(inside), parse(outside)
    filled = 0
    for i in range(a.BuffersLength()):
        here, there = a.Buffers(i), b.Buffers(i)
        if here.DataLength():
            filled += 1
            assert there.DataLength() == 0
            assert there.Offset() % 16 == 0
            assert outside[there.Offset() : there.Offset() + there.Size()] == here.DataAsNumpy().tobytes()
    assert filled > 5


def test_taking_back_leaves_no_trace() -> None:
    g = small_network()
    before = g.build()
    checkpoint = g.checkpoint()
    g.softmax(g.outputs[0])
    assert g.build() != before
    g.restore(checkpoint)
    assert g.build() == before


def test_windows_larger_than_the_map_are_refused() -> None:
    g = ModelBuilder()
    with pytest.raises(ValueError, match="window of 5 over 3"):
        g.conv2d(g.input((1, 3, 8, 2)), 4, 5)


# -- what the real runtime says --------------------------------------------------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize("storage", [s for s in STORAGES if not s.startswith("sparse_direct")])
def test_every_storage_holds_the_same_weights(storage: str) -> None:
    expected = run(small_network("dense").build())[0]
    assert np.abs(expected).max() > 0.1
    tolerance = 1e-6 if storage in ("dense", "sparse") else 0.02
    np.testing.assert_allclose(run(small_network(storage).build())[0], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.judge
@pytest.mark.parametrize(
    ("storage", "block", "tolerance"), [("sparse_direct", 4, 1e-5), ("sparse_direct_int8", 16, 0.02)]
)
def test_sparse_weights_can_be_read_by_the_operator_itself(storage: str, block: int, tolerance: float) -> None:
    def model(storage: str) -> bytes:
        g = ModelBuilder(5)
        g.output(g.fully_connected(g.input((1, 64)), 8, zeros=0.5, storage=storage, block=block))
        return g.build()

    expected = run(model("dense"))[0]
    np.testing.assert_allclose(run(model(storage))[0], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.judge
def test_order_and_place_change_nothing() -> None:
    expected = run(small_network().build())[0]
    g = small_network()
    g.shuffle_operators(np.random.default_rng(1))
    g.shuffle_tensors(np.random.default_rng(2))
    np.testing.assert_allclose(run(g.build(weights_outside=True, dynamic_batch=True))[0], expected, rtol=1e-6)


def every_kind(g: ModelBuilder) -> Sequence[Value]:
    x = g.input((1, 12, 20, 8))
    cells = g.op("SHAPE", [x], [(4,)], table("ShapeOptions", out_type=2), dtype="int32")[0]
    return [
        g.conv2d(x, 6, 3, 2, "SAME"),
        g.conv2d(x, 6, (3, 1), dilation=2),
        g.conv2d(x, 6, 3, groups=2),
        g.depthwise(x, 3, 3, "VALID", multiplier=2),
        g.depthwise(x, 5, dilation=2),
        g.transpose_conv(x, 5, 3, 2),
        g.pad(x, ((0, 0), (0, 1), (2, 0), (1, 1))),
        g.pad(x, 1, "MIRROR_PAD"),
        g.pad(x, 1, "PADV2"),
        g.pad(x, 1, index_dtype="int64"),
        g.prelu(x),
        g.binary("ADD", x, g.random_constant((20, 1))),
        g.squeeze(g.mean(x, keep_dims=True), (1, 2)),
        g.expand_dims(x, 1),
        g.transpose(x, (0, 3, 1, 2)),
        g.slice(x, (0, 1, 1, 0), (1, 5, -1, 8)),
        g.strided_slice(x, (0, 0, 1, 0), (1, 12, 20, 8), (1, 2, 3, 1)),
        *g.split(x, 2),
        g.concat([x, x], 2),
        g.pool("MAX_POOL_2D", x, 3, 2, "SAME"),
        g.pool("AVERAGE_POOL_2D", x, (2, 3)),
        g.resize_bilinear(x, 7, 9),
        g.resize_bilinear(x, 7, 9, code="RESIZE_NEAREST_NEIGHBOR"),
        g.depth_to_space(x),
        g.space_to_depth(x),
        g.softmax(x),
        g.reshape(x, (1, -1, 8)),
        g.reduce("SUM", x, (-1,)),
        g.reduce("REDUCE_MAX", x, (0, 2), True),
        g.fully_connected(x, 5, keep_num_dims=True),
        g.fully_connected(x, 5),
        g.dequantize(g.conv2d(g.quantize(x), 6)),
        cells,
    ]


@pytest.mark.judge
def test_computed_shapes_are_the_runtimes() -> None:
    g = ModelBuilder(1)
    values = every_kind(g)
    g.output(*values)
    results = run(g.build())
    assert [r.shape for r in results] == [v.shape for v in values]


@pytest.mark.judge
def test_hand_made_models_run_and_depend_on_their_input() -> None:
    patterns = named_patterns()
    assert len(patterns) > 300
    constant = []
    for pattern in patterns:
        if "sparse_direct" in pattern.name:
            continue  # Most kernels misread these: NaN, or refused.
        model = pattern.build()
        first, second = run(model, 0), run(model, 1)
        assert all(np.isfinite(a).all() for a in first), pattern.name
        if all(np.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(first, second, strict=True)):
            constant.append(pattern.name)
    # x - x, and weights that are all zero, cannot depend on the input; a SUM saturates what is behind it.
    saturated = {"sum_keep_softmax", "sum_keep_logistic"}
    assert set(constant) <= {"sub_xx", "squared_difference_xx", "zeros_96_of_96"} | saturated
