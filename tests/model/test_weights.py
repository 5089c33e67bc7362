"""Zeros and decoded values, judged by what LiteRT's own kernels make of the same files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.requirements import published
from xnnlint import loaders
from xnnlint.errors import XnnlintError
from xnnlint.loaders.tflite import schema_tables as schema
from xnnlint.model import sparse, weights
from xnnlint.model.graph import Graph, SparseDimension, Sparsity, Tensor
from xnnlint.modelbuilder.builder import ModelBuilder
from xnnlint.modelbuilder.flatwriter import serialize, table
from xnnlint.modelbuilder.storage import STORAGES, encode_sparse


def run(path: Path):
    """LiteRT's interpreter after one run on zeros, with TFLite's own kernels and every tensor kept."""
    interpreter = published("ai_edge_litert.interpreter")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runtime = interpreter.Interpreter(
            str(path),
            experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
    runtime.allocate_tensors()
    runtime.invoke()
    return runtime


def same_bits(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def unpacked(graph: Graph) -> list[int]:
    """The outputs of DENSIFY and DEQUANTIZE operators that unpack constants."""
    return [
        op.outputs[0]
        for op in graph.operators
        if op.type in ("DENSIFY", "DEQUANTIZE") and weights.trace(graph, op.outputs[0])[0] is not None
    ]


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_minus_zero_is_zero_and_nothing_else_is(dtype) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    array = np.array([0.0, -0.0, tiny, -tiny, np.nan, -np.nan, np.inf, -np.inf, 1, -1], dtype)
    assert weights.count_zeros(array) == 2
    assert weights.count_zeros(np.tile(array, 30_000)) == 60_000
    assert weights.count_zeros(np.tile(array, 3).reshape(5, 6)[:, ::2]) == np.count_nonzero(
        np.tile(array, 3).reshape(5, 6)[:, ::2] == 0
    )
    assert weights.count_zeros(np.zeros((0, 4), dtype)) == 0


def test_every_float16_is_counted_like_its_value() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert weights.count_zeros(every) == np.count_nonzero(every == 0) == 2
    # fp16 stays what it is in fp32: its subnormals are not flushed.
    assert weights.count_zeros(every.astype(np.float32)) == 2


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_])
def test_integers_are_counted_too(dtype) -> None:
    array = np.array([0, 1, 1, 0, 1, 0], dtype).reshape(2, 3)
    assert weights.count_zeros(array) == 3


@pytest.mark.parametrize("storage", [s for s in STORAGES if "direct" not in s])
@pytest.mark.parametrize("zeros", [0, 1, 64, 255, 256])
def test_zeros_are_those_that_the_kernels_unpack(tmp_path: Path, storage: str, zeros: int) -> None:
    g = ModelBuilder(seed=zeros)
    x = g.input((1, 4, 4, 16))
    g.output(g.conv2d(x, 16, zeros=zeros, storage=storage))
    path = tmp_path / "model.tflite"
    path.write_bytes(g.build())
    graph = loaders.load(path).main
    (conv,) = (op for op in graph.operators if op.type == "CONV_2D")
    seen = run(path).get_tensor(conv.inputs[1])
    measured = weights.measure(graph, conv.inputs[1])
    assert measured.zeros == np.count_nonzero(seen == 0) == zeros
    assert measured.elements == seen.size == 256
    assert measured.zero_share == zeros / 256
    assert measured.storage == ("sparse" if "sparse" in storage else "dense")
    assert measured.dtype == {"fp16": "FLOAT16", "int8": "INT8"}.get(storage.split("_")[-1], "FLOAT32")
    chain = [graph.operators[i].type for i in measured.chain]
    assert chain == ["DENSIFY"] * ("sparse" in storage) + ["DEQUANTIZE"] * ("16" in storage or "int8" in storage)
    assert measured.stored_bytes == graph.tensors[measured.source].stored_bytes
    assert same_bits(weights.decode(graph, conv.inputs[1]), seen)
    for count in (0, 1, 17, 255, 256, 300):
        assert weights.zeros_among_first(graph, conv.inputs[1], count) == np.count_nonzero(seen.ravel()[:count] == 0)


def test_a_weight_that_the_operator_reads_itself(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 16))
    g.output(g.fully_connected(x, 8, zeros=100, storage="sparse_direct"))
    path = tmp_path / "model.tflite"
    path.write_bytes(g.build())
    graph = loaders.load(path).main
    measured = weights.measure(graph, graph.operators[-1].inputs[1])
    assert (measured.zeros, measured.storage, measured.chain) == (100, "sparse", ())


def test_computed_tensors_are_no_weights(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.input((1, 4, 4, 3))
    g.output(g.conv2d(x, 4))
    path = tmp_path / "model.tflite"
    path.write_bytes(g.build())
    graph = loaders.load(path).main
    for tensor in (graph.inputs[0], graph.outputs[0]):
        assert weights.measure(graph, tensor) is None
        assert weights.trace(graph, tensor) == (None, ())
        assert weights.zeros_among_first(graph, tensor, 5) == 0
        with pytest.raises(XnnlintError, match="is not a constant"):
            weights.decode(graph, tensor)


def constant_model(
    tmp_path: Path, data: bytes, shape, dtype: str, quantization=None, sparsity=None, chain=("DENSIFY", "DEQUANTIZE")
) -> Path:
    """A model that unpacks one constant, as `chain` says, and gives it out."""
    shape = np.array(shape, np.int32)
    number = schema.enum("TensorType").index
    tensors = [table("Tensor", shape=np.array([1], np.int32), type=0, buffer=0, name="x")]
    tensors += [table("Tensor", shape=np.array([1], np.int32), type=0, buffer=0, name="y")]
    constant = {"shape": shape, "type": number(dtype), "buffer": 1, "name": "constant"}
    tensors += [table("Tensor", **constant, quantization=quantization, sparsity=sparsity)]
    operators = [("RELU", 0, 1)]
    for code in chain:
        kept = {"type": number("FLOAT32" if code == "DEQUANTIZE" else dtype), "shape": shape, "name": code.lower()}
        tensors += [table("Tensor", buffer=0, **kept, quantization=None if code == "DEQUANTIZE" else quantization)]
        operators += [(code, len(tensors) - 2, len(tensors) - 1)]
    codes = [schema.enum("BuiltinOperator").index(code) for code, _, _ in operators]
    versions = {"RELU": 1, "DENSIFY": 1, "DEQUANTIZE": 6 if dtype in ("INT4", "INT2") else 5}
    root = table(
        "Model",
        version=3,
        operator_codes=[
            table("OperatorCode", deprecated_builtin_code=n, builtin_code=n, version=versions[code])
            for n, (code, _, _) in zip(codes, operators, strict=True)
        ],
        subgraphs=[
            table(
                "SubGraph",
                tensors=tensors,
                inputs=np.array([0], np.int32),
                outputs=np.array([1, len(tensors) - 1], np.int32),
                operators=[
                    table("Operator", opcode_index=i, inputs=np.array([a], np.int32), outputs=np.array([b], np.int32))
                    for i, (_, a, b) in enumerate(operators)
                ],
            )
        ],
        buffers=[table("Buffer"), table("Buffer", data=data)],
    )
    path = tmp_path / "constant.tflite"
    path.write_bytes(serialize(root))
    return path


def quantized(scale, zero_point, dimension: int = 0):
    return table(
        "QuantizationParameters",
        scale=np.array(scale, np.float32),
        zero_point=np.array(zero_point, np.int64),
        quantized_dimension=dimension,
    )


@pytest.mark.parametrize(
    ("scale", "zero_point", "dimension"),
    [
        ([0.03], [0], 0),
        ([0.03], [-5], 0),
        ([0.0], [0], 0),
        ([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0], 0),
        ([0.1, 0.2, 0.3, 0.4], [1, -2, 3, 0], 0),
        ([0.1, 0.0, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 0, 0, 0], 1),
    ],
)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_quantized_zeros(tmp_path: Path, scale, zero_point, dimension: int, is_sparse: bool) -> None:
    rng = np.random.default_rng(len(scale) + abs(sum(zero_point)))
    values = rng.integers(-6, 6, (4, 6)).astype(np.int8)
    values[rng.random(values.shape) < 0.5] = 0
    data, sparsity, chain = values, None, ("DEQUANTIZE",)
    if is_sparse:
        data, sparsity = encode_sparse(values)
        chain = ("DENSIFY", "DEQUANTIZE")
    quantization = quantized(scale, zero_point, dimension)
    path = constant_model(tmp_path, data.tobytes(), values.shape, "INT8", quantization, sparsity, chain)
    graph = loaders.load(path).main
    seen = run(path).get_tensor(graph.outputs[-1])
    # With a zero point the runtime's vector code rounds twice, and its sign of a zero depends on the position.
    np.testing.assert_allclose(weights.decode(graph, graph.outputs[-1]), seen, rtol=3e-7 if any(zero_point) else 0)
    assert weights.measure(graph, graph.outputs[-1]).zeros == np.count_nonzero(seen == 0)
    for count in (1, 7, 23):
        seen_first = np.count_nonzero(seen.ravel()[:count] == 0)
        assert weights.zeros_among_first(graph, graph.outputs[-1], count) == seen_first


@pytest.mark.parametrize("dtype", ["UINT8", "INT16", "INT4", "UINT4", "INT2"])
@pytest.mark.parametrize("elements", [1, 2, 3, 4, 7])
def test_other_integers_are_unpacked_as_dequantize_does(tmp_path: Path, dtype: str, elements: int) -> None:
    data = np.random.default_rng(elements).integers(0, 256, 2 * elements, dtype=np.uint8).tobytes()
    quantization = quantized([0.5], [0])
    path = constant_model(tmp_path, data, (elements,), dtype, quantization, chain=("DEQUANTIZE",))
    graph = loaders.load(path).main
    seen = run(path).get_tensor(graph.outputs[-1])
    assert same_bits(weights.decode(graph, graph.outputs[-1]), seen)
    assert weights.measure(graph, graph.outputs[-1]).zeros == np.count_nonzero(seen == 0)


def constant(dtype: str, data: np.ndarray, shape, sparsity: Sparsity | None = None) -> Graph:
    tensor = Tensor(0, "c", dtype, tuple(shape), tuple(shape), sparsity=sparsity, stored=lambda: data)
    return Graph([tensor], [], (), (0,))


def test_bfloat16_and_8_bit_floats() -> None:
    graph = constant("BFLOAT16", np.array([0x8000, 0, 0x3FC0, 1], np.uint16), (2, 2))
    assert weights.measure(graph, 0).zeros == 2
    assert weights.decode(graph, 0).tolist() == [[-0.0, 0.0], [1.5, pytest.approx(9.2e-41, rel=0.01)]]
    for dtype in ("FLOAT8_E4M3FN", "FLOAT8_E5M2"):
        assert weights.measure(constant(dtype, np.array([0x80, 0, 1, 0x7F], np.uint8), (4,)), 0).zeros == 2


def test_strings() -> None:
    data = np.frombuffer(np.array([2, 16, 18, 23], "<i4").tobytes() + b"hiworld", np.uint8)
    assert weights.decode(constant("STRING", data, (2,)), 0).tolist() == [b"hi", b"world"]
    assert weights.measure(constant("STRING", data, (2,)), 0).zeros == 0
    with pytest.raises(XnnlintError, match="not a valid string tensor"):
        weights.decode(constant("STRING", data[:13], (2,)), 0)
    with pytest.raises(XnnlintError, match="holds no numbers but RESOURCE"):
        weights.decode(constant("RESOURCE", data, (2,)), 0)


def test_decoding_is_bounded() -> None:
    level = SparseDimension("SPARSE_CSR", 0, np.array([0, 1]), np.array([5]))
    row = SparseDimension("SPARSE_CSR", 0, np.array([0, 1]), np.array([7]))
    sparsity = Sparsity((0, 1), (), (level, row))
    graph = constant("FLOAT32", np.array([1.0], np.float32), (2**30, 2**30), sparsity)
    sparse.check(sparsity, (2**30, 2**30), 1)
    measured = weights.measure(graph, 0)
    assert (measured.elements, measured.zeros) == (2**60, 2**60 - 1)
    assert weights.zeros_among_first(graph, 0, 5 * 2**30 + 8) == 5 * 2**30 + 7
    with pytest.raises(XnnlintError, match="takes 4,611,686,018,427,387,904 bytes decoded"):
        weights.decode(graph, 0)


# --- the sparse encoding ----------------------------------------------------------------------------------------------


def encode(dense: np.ndarray, order, formats, block_sizes, block_map):
    """A tensor as LiteRT's own encoder writes it: its values, and SparsityParameters to put into a file."""
    converter = published("ai_edge_litert.format_converter_wrapper_pybind11")
    kinds = {"DENSE": converter.TF_LITE_DIM_DENSE, "SPARSE_CSR": converter.TF_LITE_DIM_SPARSE_CSR}
    encoder = converter.FormatConverterFp32(
        list(dense.shape), list(order), [kinds[f] for f in formats], list(block_sizes), list(block_map)
    )
    encoder.DenseToSparse(np.ascontiguousarray(dense))
    metadata = encoder.GetDimMetadata()
    levels = []
    for level, (first, second) in enumerate(zip(metadata[::2], metadata[1::2], strict=True)):
        if level < dense.ndim and formats[order[level]] == "SPARSE_CSR":
            dtype, kind = [(np.int32, 1), (np.uint16, 2), (np.uint8, 3)][level % 3]
            names = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
            levels.append(
                table(
                    "DimensionMetadata",
                    format=1,
                    array_segments_type=kind,
                    array_segments=table(names[kind], values=np.array(first, dtype)),
                    array_indices_type=kind,
                    array_indices=table(names[kind], values=np.array(second, dtype)),
                )
            )
        else:
            levels.append(table("DimensionMetadata", format=0, dense_size=first[0]))
    parameters = table(
        "SparsityParameters",
        traversal_order=np.array(order, np.int32),
        block_map=np.array(block_map, np.int32),
        dim_metadata=levels,
    )
    return np.array(encoder.GetData(), np.float32), parameters


def random_encodings(count: int):
    """Tensors of rank 1 to 4 with random traversal orders, level formats and blocks."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        rank = int(rng.integers(1, 5))
        shape = [int(d) for d in rng.choice([1, 2, 4, 6], rank)]
        blocked = sorted(int(d) for d in rng.permutation(rank)[: rng.integers(0, rank + 1)] if shape[d] % 2 == 0)
        block_sizes = [2] * len(blocked)
        order = [int(d) for d in rng.permutation(rank)]
        order += [rank + int(d) for d in rng.permutation(len(blocked))]
        formats = [str(f) for f in rng.choice(["DENSE", "SPARSE_CSR"], rank)]
        dense = rng.standard_normal(shape).astype(np.float32)
        dense[rng.random(shape) < rng.choice([0.3, 0.8, 0.95])] = 0
        dense.flat[0] = 1  # an empty buffer is no constant to TFLite
        yield dense, order, formats, block_sizes, blocked


def test_every_encoding_is_decoded_as_densify_does(tmp_path: Path) -> None:
    seen_blocks = seen_orders = 0
    for dense, order, formats, block_sizes, block_map in random_encodings(150):
        data, parameters = encode(dense, order, formats, block_sizes, block_map)
        path = constant_model(tmp_path, data.tobytes(), dense.shape, "FLOAT32", None, parameters, ("DENSIFY",))
        graph = loaders.load(path).main
        runtime = run(path).get_tensor(graph.outputs[-1])
        assert np.array_equal(runtime, dense)
        assert same_bits(weights.decode(graph, graph.outputs[-1]), runtime), (dense.shape, order, formats, block_map)
        assert weights.measure(graph, graph.outputs[-1]).zeros == np.count_nonzero(dense == 0)
        half = dense.size // 2
        assert weights.zeros_among_first(graph, graph.outputs[-1], half) == np.count_nonzero(dense.flat[:half] == 0)
        seen_blocks += bool(block_map)
        seen_orders += order != sorted(order)
    assert seen_blocks > 30 and seen_orders > 30


def csr(segments, indices):
    return table(
        "DimensionMetadata",
        format=1,
        array_segments_type=1,
        array_segments=table("Int32Vector", values=np.array(segments, np.int32)),
        array_indices_type=1,
        array_indices=table("Int32Vector", values=np.array(indices, np.int32)),
    )


def dense_level(size: int):
    return table("DimensionMetadata", format=0, dense_size=size)


def sparsity(order, levels, block_map=()):
    return table(
        "SparsityParameters",
        traversal_order=np.array(order, np.int32),
        block_map=np.array(block_map, np.int32),
        dim_metadata=levels,
    )


def test_the_last_of_two_values_for_one_element_counts(tmp_path: Path) -> None:
    parameters = sparsity([0, 1], [dense_level(2), csr([0, 3, 4], [1, 0, 1, 2])])
    data = np.array([1, 2, 0, 4], np.float32)
    path = constant_model(tmp_path, data.tobytes(), (2, 3), "FLOAT32", None, parameters, ("DENSIFY",))
    graph = loaders.load(path).main
    runtime = run(path).get_tensor(graph.outputs[-1])
    assert runtime.tolist() == [[2, 0, 0], [0, 0, 4]]
    assert same_bits(weights.decode(graph, graph.outputs[-1]), runtime)
    assert weights.measure(graph, graph.outputs[-1]).zeros == 4
    assert weights.zeros_among_first(graph, graph.outputs[-1], 4) == 3


def test_stored_zeros_and_values_beyond_the_encoding(tmp_path: Path) -> None:
    parameters = sparsity([1, 0], [dense_level(3), csr([0, 1, 1, 2], [1, 0])])
    data = np.array([-0.0, 5, 6, 7], np.float32)
    path = constant_model(tmp_path, data.tobytes(), (2, 3), "FLOAT32", None, parameters, ("DENSIFY",))
    graph = loaders.load(path).main
    runtime = run(path).get_tensor(graph.outputs[-1])
    assert runtime.tolist() == [[0, 0, 5], [0, 0, 0]]
    assert same_bits(weights.decode(graph, graph.outputs[-1]), runtime)
    assert weights.measure(graph, graph.outputs[-1]).zeros == 5


@pytest.mark.parametrize(
    ("order", "block_map"), [([0, 1, 2, 3], [1, 0]), ([0, 1, 3, 2], [1, 0]), ([0, 1, 2, 3], [1, 1])]
)
def test_blocks_in_unusual_order_are_decoded_as_the_runtime_does(tmp_path: Path, order, block_map) -> None:
    """No encoder writes these, and the decoder's answer is odd; it is what the weights will be."""
    sizes = [6, 8]
    for block, size in zip(block_map, (2, 2), strict=True):
        sizes[block] //= size
    levels = [dense_level(sizes[0]), dense_level(sizes[1]), dense_level(2), dense_level(2)]
    data = np.arange(1, 49, dtype=np.float32)
    parameters = sparsity(order, levels, block_map)
    path = constant_model(tmp_path, data.tobytes(), (6, 8), "FLOAT32", None, parameters, ("DENSIFY",))
    graph = loaders.load(path).main
    runtime = run(path).get_tensor(graph.outputs[-1])
    assert same_bits(weights.decode(graph, graph.outputs[-1]), runtime)
    assert weights.measure(graph, graph.outputs[-1]).zeros == np.count_nonzero(runtime == 0)


# --- real models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sparse_tensors"),
    [
        ("pose_detection/pose_detection.tflite", 38),
        ("face_detection/face_detection_full_range_sparse.tflite", 46),
        ("hand_landmark/hand_landmark_lite.tflite", 0),
    ],
)
def test_weights_of_real_models_are_those_of_the_kernels(
    mediapipe_models: Path, model: str, sparse_tensors: int
) -> None:
    graph = loaders.load(mediapipe_models / model).main
    runtime = run(mediapipe_models / model)
    assert sum(t.sparsity is not None for t in graph.tensors) == sparse_tensors
    outputs = unpacked(graph)
    assert len(outputs) > 50
    for tensor in outputs:
        seen = runtime.get_tensor(tensor)
        assert same_bits(weights.decode(graph, tensor), seen)
        measured = weights.measure(graph, tensor)
        assert measured.zeros == np.count_nonzero(seen == 0)
        first = seen.size // 3
        assert weights.zeros_among_first(graph, tensor, first) == np.count_nonzero(seen.ravel()[:first] == 0)
