"""Keras models lowered to the converter's operators: equal to what TensorFlow's converter really made of them.

`keras_lowering_cases.json.gz` holds configs of some 820 models of Keras 2 and Keras 3, the operators of the files that
the converter made of them, and what the real runtime did with those files (see make_keras_lowering_cases.py).
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import models
from tests.models import DATA, FIXTURES
from xnnlint.keras.description import Call, KerasModel, Layer, TensorRef
from xnnlint.keras.lower.to_graph import lower
from xnnlint.loaders.keras.read_config import read_model
from xnnlint.loaders.keras.read_file import read
from xnnlint.loaders.tflite.read_tflite import load
from xnnlint.model import sparse, weights
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

CASES = json.loads(gzip.decompress((DATA / "keras_lowering_cases.json.gz").read_bytes()))


def lowered(path: Path, **options: Any) -> Graph:
    format_, model = read(path)
    return lower(model, path=str(path), format=format_, **options).main


def types(graph: Graph) -> list[str]:
    return [op.custom_code or op.type for op in graph.operators]


def described(graph: Graph, op: Operator) -> tuple[Any, ...]:
    """An operator as a file shows it: type, shapes and the options that say what it computes."""
    shapes = [graph.tensors[t].shape_signature if t >= 0 else None for t in (*op.inputs, *op.outputs)]
    ignored = ("custom_options", "quantized_bias_type", "weights_format", "quant_spec", "out_type", "pot_scale_int16")
    ignored += ("in_data_type", "out_data_type", "asymmetric_quantize_inputs", "values_count", "new_shape")
    usual = (0, False, None, "NONE", (), 1, 1.0)
    options = {k: v for k, v in op.attributes.items() if k not in ignored and v not in usual}
    return op.type, shapes, options


def structure(case: dict[str, Any]) -> Any:
    model = read_model(case["config"], case["keras_version"])
    model.has_weights = False
    return lower(model, path=case["name"], format="keras", assume_pruned=0.8)


# -- against the converter and the runtime


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_operators_are_those_of_the_converted_file(case: dict[str, Any]) -> None:
    main, *called = (types(graph) for graph in structure(case).graphs)
    assert main == case["operators"] and called == case.get("called", [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_forecast_is_what_the_runtime_did(case: dict[str, Any]) -> None:
    plan = make_plan(structure(case), load_profile())
    if "outcome" in case:
        assert plan.outcome.value == case["outcome"]
    else:
        assert case["name"].startswith(("keras2_", "keras3_"))
    if case["kernels"] is not None:  # Nothing is listed where the model fails.
        assert [kernel.kernel for kernel in plan.operators] == case["kernels"]
        bodies = {str(inner.subgraph): [kernel.kernel for kernel in inner.plan.operators] for inner in plan.called}
        assert {k: v for k, v in bodies.items() if v} == case.get("called_kernels", {})


@pytest.mark.parametrize("source", ["guide_sparse.keras", "guide_sparse.h5"])
def test_guide_model_equals_its_conversion(source: str) -> None:
    """Operators, shapes, options, folded weights and their sparse encoding."""
    assert_equal(lowered(FIXTURES / source), load(FIXTURES / "guide_sparse.tflite").main)


def assert_equal(ours: Graph, real: Graph) -> None:
    assert [described(ours, op) for op in ours.operators] == [described(real, op) for op in real.operators]
    for op, other in zip(ours.operators, real.operators, strict=True):
        for mine, theirs in zip(op.inputs, other.inputs, strict=True):
            assert (mine < 0) == (theirs < 0)
            if mine >= 0:
                assert_same_constant(ours, mine, real, theirs)


def assert_same_constant(ours: Graph, mine: int, real: Graph, theirs: int) -> None:
    a, b = ours.tensors[mine], real.tensors[theirs]
    assert (a.is_constant, a.sparsity is None) == (b.is_constant, b.sparsity is None)
    if not a.is_constant:
        return
    assert a.stored is not None and b.stored is not None
    # Folded in single precision in another order of operations.
    np.testing.assert_allclose(a.stored(), b.stored(), rtol=1e-4, atol=1e-5)
    assert weights.measure(ours, mine).zeros == weights.measure(real, theirs).zeros  # type: ignore[union-attr]
    assert a.stored_bytes == b.stored_bytes
    if a.sparsity is not None and b.sparsity is not None:
        sparse.check(a.sparsity, a.shape, len(a.stored()))
        for one, two in zip(a.sparsity.dims, b.sparsity.dims, strict=True):
            assert (one.format, one.dense_size) == (two.format, two.dense_size)
            if one.indices is not None:
                np.testing.assert_array_equal(one.indices, two.indices)
                np.testing.assert_array_equal(one.segments, two.segments)


def test_pruning_wrappers_change_nothing() -> None:
    """A model saved while it is pruned becomes what it becomes without the wrappers."""
    assert_equal(lowered(FIXTURES / "guide_wrapped.h5"), lowered(FIXTURES / "guide_sparse.h5"))


def keras_set() -> list[Any]:
    try:
        folder = models.keras_models()
    except models.Unavailable:
        return []
    return [(folder, e) for e in models.keras_manifest(folder) if e["mode"] == "sparse" and "sources" in e]


@pytest.mark.parametrize("source", ["keras", "h5"])
@pytest.mark.parametrize(("folder", "entry"), keras_set(), ids=lambda v: v["name"] if isinstance(v, dict) else "")
def test_large_set_equals_its_conversions(folder: Path, entry: dict[str, Any], source: str) -> None:
    """With XNNLINT_KERAS_SET: weights too, and the networks of keras.applications."""
    if "lambda" in entry["name"]:
        pytest.skip("a Lambda's code is never read")
    ours = lowered(folder / entry["sources"][source])
    real = load(folder / entry["file"]).main
    assert_equal(ours, real)


# -- names


def test_operators_carry_the_names_of_layers() -> None:
    graph = lowered(FIXTURES / "guide_sparse.keras")
    named = {op.name for op in graph.operators}
    layers = {layer.name for layer in read(FIXTURES / "guide_sparse.keras")[1].layers}
    assert named <= layers
    densified = [op for op in graph.operators if op.type == "DENSIFY"]
    assert densified
    for op in densified:
        assert graph.consumers(op.outputs[0])[0].name == op.name


def test_nested_models_are_named_outer_and_inner() -> None:
    case = next(case for case in CASES if case["name"] == "net_nested")
    names = [op.name for op in structure(case).main.operators]
    assert "model/conv2d" in names and "dense" in names


# -- models made by hand


def model_of(*layers: Layer, shape: tuple[int | None, ...] = (None, 8, 8, 4), outputs: int = 1) -> KerasModel:
    """A chain of layers behind one input."""
    first = Layer("image", "InputLayer", {"batch_input_shape": list(shape)}, path=("image",))
    before = first
    for layer in layers:
        layer.path = (layer.name,)
        layer.calls = layer.calls or [Call((TensorRef(before.name),))]
        before = layer
    last = [TensorRef(layer.name) for layer in layers[-outputs:]]
    return KerasModel("model", "keras2", [first, *layers], [TensorRef("image")], last)


def pointwise(name: str, kernel: np.ndarray, **config: Any) -> Layer:
    options = {"filters": kernel.shape[-1], "kernel_size": [1, 1], "use_bias": False, **config}
    return Layer(name, "Conv2D", options, weights={"kernel": lambda: kernel})


def graph_of(model: KerasModel, **options: Any) -> Graph:
    return lower(model, path="model", format="live", **options).main


def kernel_with(zeros: int, inputs: int = 4, outputs: int = 25) -> np.ndarray:
    values = np.linspace(1, 2, inputs * outputs, dtype=np.float32)
    values[:zeros] = 0
    return values.reshape(1, 1, inputs, outputs)


@pytest.mark.parametrize(("zeros", "encoded"), [(29, False), (30, True), (31, True)])
def test_weights_are_encoded_from_30_percent_zeros(zeros: int, encoded: bool) -> None:
    """kMinSparsityLevel of dense_to_sparse_pass.cc; 29 and 31 of 100 were seen in converted files."""
    graph = graph_of(model_of(pointwise("conv", kernel_with(zeros))))
    assert ("DENSIFY" in types(graph)) == encoded


def test_dense_in_blocks_is_stored_in_blocks_without_densify() -> None:
    """Version 8 of FULLY_CONNECTED reads blocks of 1x4 as they are, if they hold nearly all of the zeros."""
    kernel = np.ones((16, 10), np.float32)
    kernel[4:] = 0
    layer = Layer("dense", "Dense", {"units": 10, "use_bias": False}, weights={"kernel": lambda: kernel})
    graph = graph_of(model_of(layer, shape=(None, 16)))
    assert types(graph) == ["FULLY_CONNECTED"]
    op = graph.operators[0]
    stored = graph.tensors[op.inputs[1]]
    assert op.version == 8 and stored.sparsity is not None
    sparse.check(stored.sparsity, stored.shape, len(stored.stored()))  # type: ignore[misc]
    np.testing.assert_array_equal(weights.decode(graph, op.inputs[1]), kernel.T)


def test_a_scale_of_zero_makes_zeros() -> None:
    """A batch norm with gamma 0 for half of the channels leaves half of a dense kernel's weights zero."""
    ones, gamma = np.ones(4, np.float32), np.array([1, 0, 1, 0], np.float32)
    statistics = {"gamma": gamma, "beta": ones, "moving_mean": ones, "moving_variance": ones}
    norm = Layer("norm", "BatchNormalization", {"axis": [3]}, weights={k: lambda v=v: v for k, v in statistics.items()})
    graph = graph_of(model_of(pointwise("conv", np.ones((1, 1, 4, 4), np.float32)), norm))
    assert types(graph) == ["DENSIFY", "CONV_2D"]
    conv = graph.operators[1]
    assert conv.name == "conv"
    assert weights.measure(graph, conv.inputs[1]).zeros == 8  # type: ignore[union-attr]


@pytest.mark.parametrize(("share", "zeros"), [(None, 10), (0.05, 10), (0.5, 50), (0.8, 80), (1.0, 100)])
def test_assumed_pruning_zeroes_the_smallest_weights(share: float | None, zeros: int) -> None:
    graph = graph_of(model_of(pointwise("conv", kernel_with(10))), assume_pruned=share)
    conv = graph.operators[-1]
    assert weights.measure(graph, conv.inputs[1]).zeros == zeros  # type: ignore[union-attr]
    left = weights.decode(graph, conv.inputs[1])
    assert left[left != 0].size == 100 - zeros
    if 0 < zeros < 100:
        assert left[left != 0].min() > np.sort(kernel_with(10).reshape(-1))[zeros - 1]


def test_assumed_pruning_leaves_other_kernels_alone() -> None:
    kernel = np.ones((3, 3, 4, 4), np.float32)
    layer = Layer("conv", "Conv2D", {"filters": 4, "kernel_size": [3, 3], "use_bias": False})
    layer.weights = {"kernel": lambda: kernel}
    graph = graph_of(model_of(layer), assume_pruned=0.8)
    assert types(graph) == ["CONV_2D"]
    assert weights.measure(graph, graph.operators[0].inputs[1]).zeros == 0  # type: ignore[union-attr]


def test_activation_is_not_fused_into_a_convolution_that_others_read() -> None:
    conv = pointwise("conv", kernel_with(0))
    relu = Layer("relu", "ReLU", {})
    graph = graph_of(model_of(conv, relu, outputs=2))
    assert types(graph) == ["CONV_2D", "RELU"]


def test_activation_is_fused_where_nobody_else_reads() -> None:
    graph = graph_of(model_of(pointwise("conv", kernel_with(0)), Layer("relu", "ReLU", {})))
    assert types(graph) == ["CONV_2D"]
    assert graph.operators[0].attributes["fused_activation_function"] == "RELU"


# -- what is not known


@pytest.mark.parametrize(
    "layer",
    [
        Layer("odd", "Swish2", {}, opaque="custom layer Swish2", weights={"0": lambda: np.ones(4, np.float32)}),
        Layer("odd", "Attention", {}),
        Layer("odd", "TFOpLambda", {"function": "math.cumsum"}),
        Layer("odd", "Activation", {"activation": "my_own"}),
        Layer("odd", "Conv3D", {"filters": 4, "kernel_size": [1, 1, 1], "data_format": "channels_first"}),
        Layer("odd", "Cropping2D", {"cropping": [[1, 1], [1, 1]], "data_format": "channels_middle"}),
        Layer("odd", "Conv2D", {"filters": "many", "kernel_size": [1, 1]}),
        Layer("odd", "MaxPooling2D", {"pool_size": [2, 2], "strides": [0, 0]}),
    ],
    ids=lambda layer: layer.class_name + layer.opaque + str(layer.config.get("function", "")),
)
def test_unknown_layer_is_a_custom_operator(layer: Layer) -> None:
    lowered_model = lower(model_of(layer), path="model", format="live")
    graph = lowered_model.main
    assert [(op.type, op.custom_code, op.name) for op in graph.operators] == [("CUSTOM", layer.class_name, "odd")]
    assert list(lowered_model.unknown) == ["odd"] and lowered_model.notes == []
    assert make_plan(lowered_model, load_profile()).tflite_ops == [0]


@pytest.mark.parametrize(
    ("dialect", "class_name", "shape"),
    [
        ("keras2", "SeparableConv2D", (None, 3, 8, 8)),
        ("keras3", "Conv2DTranspose", (None, 3, 8, 8)),
        ("keras3", "Conv1D", (None, 3, 8)),
        ("keras2", "Conv1D", (1, 3, 8)),
    ],
)
def test_what_the_converter_refuses_with_channels_first_is_said(
    dialect: str, class_name: str, shape: tuple[int | None, ...]
) -> None:
    """Seen: "op is neither a custom op nor a flex op" and the like, and no file."""
    layer = Layer("odd", class_name, {"filters": 4, "kernel_size": 3, "data_format": "channels_first"})
    model = model_of(layer, shape=shape)
    model.dialect, model.has_weights = dialect, False
    found = lower(model, path="model", format="live")
    (reason,) = found.unknown.values()
    assert "no .tflite file comes out" in reason and found.cures == {"odd": "build the model with channels_last"}


@pytest.mark.parametrize(
    ("shape", "unroll", "word"),
    [
        ((None, 6, 8), False, "dynamic batch"),
        ((None, 6, 8), True, "dynamic batch"),
        ((1, None, 8), False, "only known at run time"),
        ((1, 0, 8), True, "no steps"),
        ((1, 10**9, 8), True, "1,000,000,000 steps"),
    ],
)
def test_loops_that_are_not_lowered(shape: tuple[int | None, ...], unroll: bool, word: str) -> None:
    """Only what the converter refuses has a cure: with a dynamic batch it converts no loop, but steps."""
    model = model_of(Layer("loop", "LSTM", {"units": 4, "unroll": unroll, "activation": "tanh"}), shape=shape)
    model.has_weights = False
    found = lower(model, path="model", format="live")
    assert word in found.unknown["loop"]
    assert ("--batch 1" in found.cures.get("loop", "")) == (shape[0] is None and not unroll)


@pytest.mark.parametrize("why", ["custom layer Odd", "Lambda"])
def test_code_of_the_users_is_taken_to_keep_its_input(why: str) -> None:
    odd = Layer("odd", "Odd", {}, opaque=why)
    lowered_model = lower(model_of(odd, Layer("relu", "ReLU", {})), path="model", format="live")
    assert types(lowered_model.main) == ["RELU"]
    assert list(lowered_model.unknown) == ["odd"] == list(lowered_model.kept)
    assert lowered_model.unsure == {"relu"}


@pytest.mark.parametrize("variable", ["gamma", "0"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_one_layer_of_the_applications(package: str, variable: str) -> None:
    """ConvNeXt's LayerScale, by its module: somebody else's may be anything. Keras 2 does not name its variable."""
    gamma = np.linspace(0.5, 1.5, 4, dtype=np.float32)
    config = {"projection_dim": 4, "init_values": 1e-6}
    for module, expected in ((f"{package}.src.applications.convnext", "MUL"), ("mine", "LayerScale")):
        layer = Layer("scale", "LayerScale", dict(config), weights={variable: lambda: gamma}, module=module)
        pool = Layer("pool", "MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"})
        graph = graph_of(model_of(pool, layer))
        assert types(graph) == ["MAX_POOL_2D", expected]


@pytest.mark.parametrize("class_name", ["Dropout", "BatchNormalization"])
@pytest.mark.parametrize(
    ("around", "said", "known"), [(None, None, True), (None, True, False), (True, None, False), (True, False, True)]
)
def test_training_is_not_taken_for_inference(class_name: str, around: Any, said: Any, known: bool) -> None:
    """Keras 2 converts Dropout()(x, training=True) with its random numbers; that of the model around counts, too."""
    layer = Layer("layer", class_name, {"axis": [3]}, calls=[Call((TensorRef("image"),), {"training": said})])
    inner = model_of(layer)
    inner.has_weights = False
    outer = model_of(Layer("inner", "Functional", {}, model=inner))
    outer.layer("inner").calls = [Call((TensorRef("image"),), {"training": around})]
    outer.has_weights = False
    unknown = lower(outer, path="model", format="live").unknown
    assert (list(unknown) == []) == known
    assert known or "training=True" in unknown["inner/layer"]


@pytest.mark.parametrize("dtype", ["float16", "float64", "mixed_bfloat16"])
def test_other_precisions_are_said(dtype: str) -> None:
    """The converter refuses convolutions in them."""
    conv = pointwise("conv", kernel_with(0))
    conv.config["dtype"] = dtype
    (note,) = lower(model_of(conv), path="model", format="live").notes
    assert dtype in note and "float32" in note


def test_layers_behind_an_unknown_one_are_lowered_as_far_as_weights_tell() -> None:
    odd = Layer("odd", "Attention", {})
    graph = graph_of(model_of(odd, pointwise("conv", kernel_with(40))))
    assert types(graph) == ["Attention", "DENSIFY", "CONV_2D"]
    assert graph.tensors[graph.operators[2].inputs[0]].shape_signature == (-1, -1, -1, 4)


def test_shape_that_the_reader_was_built_for_is_that_of_an_unknown_layer() -> None:
    odd = Layer("odd", "Lambda", {}, opaque="Lambda")
    pool = Layer("pool", "GlobalAveragePooling2D", {}, build_shape=(None, 8, 8, 7))
    graph = graph_of(model_of(odd, pool))
    assert types(graph) == ["Lambda", "MEAN"]
    assert graph.tensors[graph.outputs[0]].shape_signature == (-1, 7)


def test_missing_variable_is_reported_and_no_crash() -> None:
    layer = Layer("conv", "Conv2D", {"filters": 4, "kernel_size": [1, 1]})
    model = lower(model_of(layer), path="model", format="live")
    assert "holds no variable 'kernel'" in model.unknown["conv"]


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        (10**9, "it claims 4,000,000,000 weights"),
        (10**12, "its filters must be a number of 0 to 2147483647, not 1000000000000"),
        ("many", "its filters must be a whole number, not 'many'"),
        (None, "its filters is missing"),
    ],
)
def test_weights_that_cannot_be_take_no_memory(filters: object, reason: str) -> None:
    model = model_of(Layer("conv", "Conv2D", {"filters": filters, "kernel_size": [1, 1]}))
    model.has_weights = False
    assert lower(model, path="model", format="keras").unknown == {"conv": reason}


def test_every_tensor_that_is_read_is_there() -> None:
    """Rewrites take operators away; what one of those computes must have lost its readers before."""
    for case in CASES:
        graph = structure(case).main
        # The state of a fused loop is a variable of the file.
        there = {t.index for t in graph.tensors if t.is_constant or t.is_variable} | set(graph.inputs)
        for op in graph.operators:
            missing = {t for t in op.inputs if t >= 0} - there
            assert not missing, (case["name"], op, missing)
            there.update(op.outputs)


def test_no_weights_is_said() -> None:
    notes = structure(CASES[0]).notes
    assert notes == ["The file holds no weights: the forecast is for the structure alone."]


# -- cost


def test_long_chains_of_constants_do_not_exhaust_the_stack() -> None:
    """A convolution and thousands of multiplications that are folded into it, one after the other."""
    factors = [Layer(f"times_{n}", "Rescaling", {"scale": 1.0001, "offset": 0.0}) for n in range(3000)]
    graph = graph_of(model_of(pointwise("conv", kernel_with(40)), *factors))
    assert types(graph) == ["DENSIFY", "CONV_2D"]
    conv = graph.operators[1]
    assert weights.measure(graph, conv.inputs[1]).zeros == 40  # type: ignore[union-attr]
    assert weights.decode(graph, conv.inputs[1]).max() == pytest.approx(2 * 1.0001**3000, rel=1e-3)


@pytest.mark.filterwarnings("error")
def test_weights_that_diverged_are_no_warning() -> None:
    kernel = kernel_with(40)
    kernel[..., 0] = np.float32(3e38)
    factors = [Layer(f"times_{n}", "Rescaling", {"scale": 1e30, "offset": 0.0}) for n in range(3)]
    graph = graph_of(model_of(pointwise("conv", kernel), *factors))
    assert not np.isfinite(weights.decode(graph, graph.operators[-1].inputs[1])).all()


@pytest.mark.parametrize("options", [[], ["--policy"], ["--assume-pruned", "0.8"], ["--format", "json"]])
def test_checking_keras_files_imports_no_framework(options: list[str], tmp_path: Path) -> None:
    """Neither TensorFlow nor Keras, where they are installed: here they are packages that cannot be imported."""
    for name in ("tensorflow", "keras", "tf_keras", "h5py", "jax", "torch", "tensorflow_model_optimization"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('was imported: ' + __name__)")
    files = [str(FIXTURES / name) for name in ("guide_sparse.keras", "guide_sparse.h5", "guide_keras3.keras")]
    done = subprocess.run(
        [sys.executable, "-m", "xnnlint", "check", *files, *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "") and "guide_sparse.h5" in done.stdout
