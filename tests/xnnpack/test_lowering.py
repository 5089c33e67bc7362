"""What the delegated operators become in XNNPACK."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.rounds import some
from tests.xnnpack.delegate_cases import CASES, ints, matmul
from tests.xnnpack.test_delegate import graph_of, host_has_avx, op_named
from xnnlint.loaders import load
from xnnlint.model.graph import Graph
from xnnlint.modelbuilder.builder import ModelBuilder, Value
from xnnlint.modelbuilder.building_blocks import UNARY
from xnnlint.modelbuilder.flatwriter import table
from xnnlint.modelbuilder.patterns import PATTERNS
from xnnlint.xnnpack.claims import delegate
from xnnlint.xnnpack.define import define
from xnnlint.xnnpack.ir import INF, Node, Subgraph
from xnnlint.xnnpack.ir import NodeType as T
from xnnlint.xnnpack.lowering import lower
from xnnlint.xnnpack.profile import Profile, load_profile
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

Fill = Callable[[ModelBuilder, Value], Value]


def lowered(fill: Fill, folder: Path, shape: tuple[int, ...] = (1, 8, 12, 6)) -> tuple[Graph, Subgraph]:
    g = ModelBuilder(3)
    g.output(fill(g, g.input(shape)))
    graph = graph_of(g.build(), folder)
    return graph, lower_all(graph)[0]


def lower_all(graph: Graph, assume: tuple[Waiver, ...] = ()) -> list[Subgraph]:
    profile = load_profile()
    return define(graph, delegate(graph, profile, assume), profile).subgraphs


def only(fill: Fill, folder: Path) -> Node:
    _, subgraph = lowered(fill, folder)
    (node,) = subgraph.nodes
    return node


def kinds(subgraph: Subgraph) -> list[str]:
    return [n.operator or n.type for n in subgraph.nodes]


# -- convolutions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_unit_convolution_is_a_fully_connected_node(padding: str, dilation: int, tmp_path: Path) -> None:
    node = only(lambda g, x: g.conv2d(x, 4, padding=padding, dilation=dilation, fused="RELU6"), tmp_path)
    assert node.type == T.FULLY_CONNECTED
    assert node.activation == (0, 6)
    assert len(node.inputs) == 3 and node.params == {}


def test_one_channel_to_one_stays_a_convolution(tmp_path: Path) -> None:
    assert only_of_one_channel(1, tmp_path).type == T.CONVOLUTION_2D
    assert only_of_one_channel(2, tmp_path).type == T.FULLY_CONNECTED


def only_of_one_channel(filters: int, folder: Path) -> Node:
    return lowered(lambda g, x: g.conv2d(x, filters), folder, (1, 8, 12, 1))[1].nodes[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stride": 2}, {"stride": (2, 2)}),
        ({"kernel": (1, 3)}, {"kernel": (1, 3)}),
        ({"groups": 2}, {"groups": 2, "group_input_channels": 3, "group_output_channels": 2}),
    ],
)
def test_other_1x1_convolutions_stay_convolutions(
    options: dict[str, object], expected: dict[str, object], tmp_path: Path
) -> None:
    node = only(lambda g, x: g.conv2d(x, 4, **options), tmp_path)
    assert node.type == T.CONVOLUTION_2D
    assert {key: node.params[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding", "explicit", "same"),
    [
        (3, 1, 1, "SAME", (1, 1, 1, 1), False),
        ((2, 4), 1, 1, "SAME", (0, 2, 1, 1), False),  # what doesn't divide goes to bottom and right
        (3, 1, 2, "SAME", (2, 2, 2, 2), False),
        (3, 2, 1, "SAME", (0, 0, 0, 0), True),
        (3, (2, 1), 1, "SAME", (0, 0, 0, 0), True),
        (3, 1, 1, "VALID", (0, 0, 0, 0), False),
    ],
)
def test_same_padding_becomes_explicit_at_stride_1_only(
    kernel: object, stride: object, dilation: int, padding: str, explicit: tuple[int, ...], same: bool, tmp_path: Path
) -> None:
    def fill(g: ModelBuilder, x: Value) -> Value:
        return g.conv2d(x, 4, kernel, stride, padding, dilation=dilation)  # type: ignore[arg-type]

    def fill_depthwise(g: ModelBuilder, x: Value) -> Value:
        return g.depthwise(x, kernel, stride, padding, dilation=dilation)  # type: ignore[arg-type]

    for node in (only(fill, tmp_path), only(fill_depthwise, tmp_path)):
        assert node.params["padding"] == explicit
        assert node.params["same_padding"] is same
        assert node.params["dilation"] == (dilation, dilation)


def test_depthwise_parameters(tmp_path: Path) -> None:
    node = only(lambda g, x: g.depthwise(x, 5, 2, "VALID", multiplier=2, fused="RELU"), tmp_path)
    assert node.type == T.DEPTHWISE_CONVOLUTION_2D
    assert (node.params["depth_multiplier"], node.params["input_channels"]) == (2, 6)
    assert (node.params["kernel"], node.params["stride"]) == ((5, 5), (2, 2))
    assert node.activation == (0, INF)


def test_fully_connected_flattens_its_input_first(tmp_path: Path) -> None:
    _, subgraph = lowered(lambda g, x: g.fully_connected(x, 4), tmp_path)
    assert kinds(subgraph) == [T.RESHAPE, T.FULLY_CONNECTED]
    reshape, layer = subgraph.nodes
    assert reshape.params["new_shape"] == (0, 6)
    assert layer.inputs[0] == reshape.outputs[0]
    assert subgraph.values[layer.inputs[0]].rank == 2
    assert reshape.op == layer.op


def test_fully_connected_that_keeps_dimensions_needs_no_reshape(tmp_path: Path) -> None:
    node = only(lambda g, x: g.fully_connected(x, 4, keep_num_dims=True, bias=False), tmp_path)
    assert node.type == T.FULLY_CONNECTED and len(node.inputs) == 2


@pytest.mark.parametrize(("kernel", "kind"), [(1, T.FULLY_CONNECTED), (3, T.CONVOLUTION_2D)])
def test_integer_weights_convert_the_activations(kernel: int, kind: str, tmp_path: Path) -> None:
    _, subgraph = lowered(lambda g, x: g.conv2d(x, 4, kernel, storage="int8_direct"), tmp_path)
    assert kinds(subgraph) == ["convert", kind]
    convert, layer = subgraph.nodes
    assert layer.inputs[0] == convert.outputs[0]
    types = [subgraph.values[v].dtype for v in (*layer.inputs, *layer.outputs)]
    assert types == ["qdint8", "qcint8", "fp32", "fp32"]


def test_int8_layers_keep_their_types(tmp_path: Path) -> None:
    _, subgraph = lowered(lambda g, x: g.dequantize(g.conv2d(g.quantize(x), 4, 3)), tmp_path)
    assert kinds(subgraph) == ["convert", T.CONVOLUTION_2D, "convert"]
    layer = subgraph.nodes[1]
    types = [subgraph.values[v].dtype for v in (*layer.inputs, *layer.outputs)]
    assert types == ["qint8", "qint8", "qint32", "qint8"]


def test_transpose_conv_paddings(tmp_path: Path) -> None:
    node = only(lambda g, x: g.transpose_conv(x, 4, kernel=(3, 4), stride=2), tmp_path)
    assert node.type == T.DECONVOLUTION_2D
    assert node.params["padding"] == (0, 1, 1, 1)
    assert (node.params["group_input_channels"], node.params["group_output_channels"]) == (6, 4)


def test_batch_matmul_transposes_its_first_input_itself(tmp_path: Path) -> None:
    _, subgraph = lowered(lambda g, x: matmul(g, x, g.random_constant((1, 8, 12, 5)), adj_x=True), tmp_path)
    assert kinds(subgraph) == [T.TRANSPOSE, T.BATCH_MATRIX_MULTIPLY]
    assert subgraph.nodes[0].params["perm"] == (0, 1, 3, 2)
    assert subgraph.nodes[1].params["transpose_b"] is False


# -- elementwise and shapes --------------------------------------------------------------------------------------------


def test_a_binary_activation_is_a_clamp_of_its_own(tmp_path: Path) -> None:
    _, subgraph = lowered(lambda g, x: g.binary("MUL", x, g.random_constant((6,)), fused="RELU_N1_TO_1"), tmp_path)
    assert kinds(subgraph) == ["multiply", "clamp"]
    multiply, clamp = subgraph.nodes
    assert clamp.inputs == multiply.outputs
    assert (clamp.params, clamp.activation) == ({"min": -1, "max": 1}, (-1, 1))
    between = subgraph.values[clamp.inputs[0]]
    assert between.tensor is None and not between.is_external and between.shape == (1, 8, 12, 6)
    assert subgraph.values[clamp.outputs[0]].external_output


@pytest.mark.parametrize("code", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_a_pool_of_single_elements_is_a_clamp(code: str, tmp_path: Path) -> None:
    node = only(lambda g, x: g.pool(code, x, 1, fused="RELU"), tmp_path)
    assert (node.operator, node.activation) == ("clamp", (0, INF))


def test_pool_parameters(tmp_path: Path) -> None:
    node = only(lambda g, x: g.pool("MAX_POOL_2D", x, (3, 2), (2, 1), "SAME"), tmp_path)
    assert node.type == T.MAX_POOLING_2D
    assert (node.params["kernel"], node.params["stride"], node.params["same_padding"]) == ((3, 2), (2, 1), True)


@pytest.mark.parametrize(
    ("fill", "kind", "params"),
    [
        (lambda g, x: g.reduce("MEAN", x, (-2, 1, 1), True), T.MEAN, {"axes": (2, 1), "keep_dims": True}),
        (lambda g, x: g.reduce("SUM", x, (3,)), T.SUM, {"axes": (3,), "keep_dims": False}),
        (
            lambda g, x: g.pad(x, ((0, 0), (1, 2), (3, 4), (0, 5))),
            T.CONSTANT_PAD,
            {"pre": (0, 1, 3, 0), "post": (0, 2, 4, 5)},
        ),
        (lambda g, x: g.reshape(x, (1, -1, 3)), T.RESHAPE, {"new_shape": (1, 0, 3)}),
        (lambda g, x: g.concat([x, x], axis=-2), T.CONCATENATE, {"axis": 2}),
        (lambda g, x: g.transpose(x, (0, 3, -3, 2)), T.TRANSPOSE, {"perm": (0, 3, 1, 2)}),
        (lambda g, x: g.slice(x, (0, 1, 2, 0), (1, 3, 4, 6)), T.SLICE, {"begins": (0, 1, 2, 0), "ends": (1, 4, 6, 6)}),
        (lambda g, x: g.split(x, 3)[1], T.EVEN_SPLIT, {"axis": 3}),
        (lambda g, x: g.space_to_depth(x), T.SPACE_TO_DEPTH_2D, {"block_size": 2}),
        (
            lambda g, x: g.resize_bilinear(x, 5, 7),
            T.RESIZE_BILINEAR,
            {"new_height": 5, "new_width": 7, "legacy": False},
        ),
        (lambda g, x: g.resize_bilinear(x, 5, 7, half_pixel=False), T.RESIZE_BILINEAR, {"legacy": True}),
        (lambda g, x: g.unary("LEAKY_RELU", x, alpha=0.25), T.UNARY, {"negative_slope": 0.25}),
    ],
)
def test_parameters(fill: Fill, kind: str, params: dict[str, object], tmp_path: Path) -> None:
    node = only(fill, tmp_path)
    assert node.type == kind
    assert {key: node.params[key] for key in params} == params
    assert len(node.inputs) == (2 if kind == T.CONCATENATE else 1)


def test_masks_of_a_strided_slice(tmp_path: Path) -> None:
    def fill(g: ModelBuilder, x: Value) -> Value:
        bounds = [ints(g, 0, 1, 2, 0), ints(g, 1, 3, 8, 6), ints(g, 1, 1, 1, 1)]
        options = table("StridedSliceOptions", begin_mask=2, end_mask=4)
        return g.op("STRIDED_SLICE", [x, *bounds], [(1, 3, 10, 6)], options)[0]

    assert only(fill, tmp_path).params == {"begins": (0, 0, 2, 0), "ends": (1, 3, 0, 6)}


@pytest.mark.parametrize("approximate", [False, True])
def test_both_kinds_of_gelu(approximate: bool, tmp_path: Path) -> None:
    node = only(lambda g, x: g.unary("GELU", x, approximate=approximate), tmp_path)
    assert node.operator == ("approxgelu" if approximate else "gelu")


# -- MediaPipe's custom operators -------------------------------------------------------------------------------------


def test_mediapipe_transposed_convolution(tmp_path: Path) -> None:
    def fill(g: ModelBuilder, x: Value) -> Value:
        options = struct.pack("<5i", 1, 2, 2, 1, 0)  # SAME, strides 2, RELU, no quantized bias type
        inputs = [x, g.weight((4, 2, 2, 6), 6), g.bias(4)]
        return g.custom_op("Convolution2DTransposeBias", inputs, [(1, 16, 24, 4)], options)[0]

    node = only(fill, tmp_path)
    assert node.type == T.DECONVOLUTION_2D
    assert (node.params["stride"], node.params["padding"]) == ((2, 2), (0, 0, 0, 0))
    assert node.activation == (-INF, INF)  # the delegate leaves the stored RELU out


def test_mediapipe_pooling_with_indices(tmp_path: Path) -> None:
    def fill(g: ModelBuilder, x: Value) -> Value:
        options = struct.pack("<6i", 2, 2, 2, 2, 2, 0)
        pooled, places = g.custom_op("MaxPoolingWithArgmax2D", [x], [(1, 4, 6, 6)] * 2, options)
        return g.custom_op("MaxUnpooling2D", [pooled, places], [(1, 8, 12, 6)], options)[0]

    _, subgraph = lowered(fill, tmp_path)
    assert kinds(subgraph) == [T.ARGMAX_POOLING_2D, T.UNPOOLING_2D]
    assert subgraph.nodes[1].inputs == subgraph.nodes[0].outputs


# -- values ------------------------------------------------------------------------------------------------------------


def test_external_values_come_first_then_each_by_tensor_index(tmp_path: Path) -> None:
    graph, subgraph = lowered(lambda g, x: g.conv2d(g.pad(x), 4, 3), tmp_path)
    tensors = [v.tensor for v in subgraph.values]
    externals = [v.tensor for v in subgraph.values if v.is_external]
    assert externals == sorted((*graph.inputs, *graph.outputs))
    assert tensors[: len(externals)] == externals
    assert tensors[len(externals) :] == sorted(tensors[len(externals) :])
    assert [v.id for v in subgraph.values] == list(range(len(subgraph.values)))


def test_parameters_are_no_values(tmp_path: Path) -> None:
    graph, subgraph = lowered(lambda g, x: g.pad(x), tmp_path)
    assert {v.tensor for v in subgraph.values} == {*graph.inputs, *graph.outputs}


@pytest.mark.parametrize("storage", ["dense", "sparse", "fp16", "sparse_fp16", "int8", "sparse_int8"])
def test_static_values_give_what_the_operator_reads(storage: str, tmp_path: Path) -> None:
    weights = np.arange(24, dtype=np.float32).reshape(4, 1, 1, 6) - 12
    weights[:, :, :, ::2] = 0

    def fill(g: ModelBuilder, x: Value) -> Value:
        return g.conv2d(x, 4, weights=weights, storage=storage)

    _, subgraph = lowered(fill, tmp_path)
    (layer,) = subgraph.nodes
    value = subgraph.values[layer.inputs[1]]
    assert value.dtype == ("fp16" if "fp16" in storage else "fp32")
    assert value.data is not None and not value.is_external
    tolerance = 12 / 254 if "int8" in storage else 0
    np.testing.assert_allclose(value.data(), weights.reshape(-1), rtol=0, atol=tolerance)
    assert int(np.count_nonzero(value.data())) == int(np.count_nonzero(weights))


def test_nodes_of_unpacking_operators_are_left_out(tmp_path: Path) -> None:
    graph, subgraph = lowered(lambda g, x: g.conv2d(x, 4, zeros=0.5, storage="sparse_fp16"), tmp_path)
    assert [n.op for n in subgraph.nodes] == [op_named(graph, "CONV_2D")]
    assert subgraph.sparse_hint


def test_a_tensor_of_another_partition_is_an_external_input(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.unary("RELU", g.input((1, 4, 6, 8)))
    g.output(g.binary("ADD", x, g.binary("POW", x, x)))
    graph = graph_of(g.build(), tmp_path)
    first, second = lower_all(graph)
    relu = graph.operators[op_named(graph, "RELU")].outputs[0]
    power = graph.operators[op_named(graph, "POW")].outputs[0]
    assert [v.tensor for v in first.values if v.external_output] == [relu]
    assert [v.tensor for v in second.values if v.external_input] == [relu, power]


def test_a_waived_operator_is_a_unary_node(tmp_path: Path) -> None:
    g = ModelBuilder()
    x = g.unary("RELU", g.input((1, 4, 6, 8)))
    g.output(g.unary("ABS", g.binary("POW", g.constant(2.0), x)))
    graph = graph_of(g.build(), tmp_path)
    power = graph.operators[op_named(graph, "POW")]
    (subgraph,) = lower_all(graph, (Waiver(WaiverKind.DELEGATED, power.index),))
    assert kinds(subgraph) == ["clamp", "assumed", "abs"]
    node = subgraph.nodes[1]
    assert (node.type, node.op) == (T.UNARY, power.index)
    assert [subgraph.values[v].tensor for v in node.inputs] == [power.inputs[1]]
    assert [subgraph.values[v].tensor for v in node.outputs] == list(power.outputs)


# -- the real runtime --------------------------------------------------------------------------------------------------


def dense_operators(graph: Graph, profile: Profile) -> list[str]:
    """What each operator is called in the runtime's profile, without layout, types and kernel."""
    from xnnlint.xnnpack.kernels import kernel_name
    from xnnlint.xnnpack.rewrites import inline_quantization, optimize

    delegation = delegate(graph, profile)
    names = []
    for partition in delegation.partitions:
        subgraph = lower(graph, partition, delegation, profile)
        optimize(subgraph, profile)
        inline_quantization(subgraph, profile)
        names += [kernel_name(node, subgraph, profile).split(" (")[0] for node in subgraph.nodes]
    return names


def made_of_zeros() -> dict[str, bytes]:
    """MAXIMUM of a map and of what an operator makes of 0 and 1: a clamp where the runtime knows the result."""

    def build(part: Callable[[ModelBuilder, Value, Value, Value], Value]) -> bytes:
        g = ModelBuilder()
        x = g.input((1, 4, 6, 8))
        zero = g.binary("MUL", x, g.constant(0.0))
        one = g.unary("COS", g.binary("MUL", g.constant(0.0), x))
        g.output(g.binary("MAXIMUM", x, part(g, x, zero, one)))
        return g.build()

    models: dict[str, bytes] = {}
    for code in UNARY:
        options = {"alpha": 0.5} if code == "LEAKY_RELU" else {}
        models[f"{code}(0)"] = build(lambda g, x, a, b, c=code, o=options: g.unary(c, a, **o))
        models[f"{code}(1)"] = build(lambda g, x, a, b, c=code, o=options: g.unary(c, b, **o))
    for code in ("ADD", "MUL", "SUB", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
        for name in ("x0", "0x", "00", "01", "10", "11", "x1", "1x"):
            models[f"{code}({name})"] = build(
                lambda g, x, a, b, c=code, n=name: g.binary(c, *({"x": x, "0": a, "1": b}[letter] for letter in n))
            )
    models["same 0"] = build(lambda g, x, a, b: g.binary("DIV", a, a))
    models["mean"] = build(lambda g, x, a, b: g.mean(b, (1, 2), True))
    models["sum"] = build(lambda g, x, a, b: g.reduce("SUM", b, (1, 2), True))
    models["sum 0"] = build(lambda g, x, a, b: g.reduce("SUM", a, (1, 2), True))
    models["transposed"] = build(lambda g, x, a, b: g.transpose(g.transpose(b, (0, 2, 1, 3)), (0, 2, 1, 3)))
    models["part"] = build(lambda g, x, a, b: g.split(g.concat([b, b]), 2)[1])
    return models


def of_cases() -> dict[str, bytes]:
    return {case.name: case.build() for case in CASES if case.runs and not case.fails} | made_of_zeros()


def of_patterns() -> dict[str, bytes]:
    """tests/difftest has half of them run in each run of the tests, and compares the lists of operators, too."""
    return {p.name: p.build() for p in PATTERNS.values()}


@pytest.mark.judge
@pytest.mark.parametrize("build", some([of_cases, of_patterns], 1))
def test_the_runtime_makes_the_same_operators(build: Callable[[], dict[str, bytes]], tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    if not host_has_avx():
        pytest.skip("needs a CPU that runs everything densely (x86 with AVX)")
    from xnnlint.runtime.observe import observe

    models = build()
    names = {}
    for number, (name, model) in enumerate(models.items()):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(model)
        names[str(path)] = name
    wrong, ran = {}, 0
    profile = load_profile(cpu="x86-avx")
    for seen in observe(list(names), cpu="x86-avx", reference=False, seeds=(0,)):
        if seen.status != "ran":
            continue
        ran += 1
        predicted = dense_operators(load(seen.path).main, profile)
        observed = [kernel.split(" (")[0] for kernel in seen.kernels or ()]
        if predicted != observed:
            wrong[names[seen.path]] = f"observed {observed}, predicted {predicted}"
    assert wrong == {}
    assert ran > 0.95 * len(models)
