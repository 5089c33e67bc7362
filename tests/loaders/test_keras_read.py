"""Keras models read without Keras: the same layers, calls and weights that Keras finds in its files.

`keras_read_cases.zip` holds files as tf_keras and Keras 3 wrote them, and what they found in them when they loaded them
(see make_keras_read_cases.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import DATA, FIXTURES
from xnnlint import loaders
from xnnlint.errors import ModelError
from xnnlint.keras.description import KerasModel, Layer, TensorRef
from xnnlint.loaders.keras.read_config import parse_json, read_model
from xnnlint.loaders.keras.read_file import format_of, read
from xnnlint.model import weights

CASES = DATA / "keras_read_cases.zip"
EXPECTED = json.loads(zipfile.ZipFile(CASES).read("expected.json"))
FORMATS = {".keras": "keras", ".h5": "h5", "": "saved_model"}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    zipfile.ZipFile(CASES).extractall(folder)
    return folder


def read_file(path: Path) -> KerasModel:
    return read(path)[1]


def digest(values: np.ndarray) -> str:
    values = np.ascontiguousarray(values)
    return f"{values.dtype.name} {list(values.shape)} {hashlib.sha256(values.tobytes()).hexdigest()[:16]}"


def refuse(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)[len(f"{path}: ") :]


# -- against Keras


@pytest.mark.parametrize("name", EXPECTED)
def test_layers_calls_and_weights_are_those_that_keras_loads(cases: Path, name: str) -> None:
    format_, model = read(cases / name)
    assert format_ == ("keras" if name == "sharded" else FORMATS[Path(name).suffix])
    assert model.dialect == ("keras3" if name.startswith(("keras3", "sharded")) else "keras2") and model.has_weights
    found = {"/".join(layer.path): layer for layer in model.all_layers() if layer.class_name != "InputLayer"}
    expected = EXPECTED[name]["layers"]
    assert set(found) == set(expected)
    for path, layer in found.items():
        measured = {key: digest(read()) for key, read in layer.weights.items()}
        assert measured == expected[path]["weights"], path
        owner = model if len(layer.path) == 1 else found["/".join(layer.path[:-1])].model
        assert owner is not None
        if not owner.sequential:
            assert calls(owner, layer) == expected[path]["calls"], path
    if not model.sequential:
        assert [[wrapper(model, ref), ref.output] for ref in model.outputs] == EXPECTED[name]["outputs"]


def calls(owner: KerasModel, layer: Layer) -> list[Any]:
    return sorted([[wrapper(owner, ref), ref.output] for ref in call.inputs()] for call in layer.calls)


def wrapper(owner: KerasModel, ref: TensorRef) -> str:
    return owner.layer(ref.layer).wrapper or ref.layer


@pytest.mark.parametrize("name", ["guide_sparse.keras", "guide_sparse.h5"])
def test_weights_are_those_of_the_converted_file(name: str) -> None:
    graph = loaders.load(FIXTURES / "guide_sparse.tflite").main
    converted = []
    for tensor in graph.tensors:
        if len(tensor.shape) == 4 and tensor.shape[1:3] == (1, 1) and weights.measure(graph, tensor.index):
            converted.append(tensor.index)
    shares = {tuple(graph.tensors[index].shape): weights.measure(graph, index) for index in converted}
    kernels = [layer.weights["kernel"]() for layer in read_file(FIXTURES / name).layers if is_pointwise(layer)]
    assert len(kernels) == 2
    for kernel in kernels:
        measured = shares[(kernel.shape[3], 1, 1, kernel.shape[2])]
        assert measured is not None and int((kernel == 0).sum()) == measured.zeros > 0


def is_pointwise(layer: Layer) -> bool:
    return layer.class_name == "Conv2D" and layer.config["kernel_size"] == [1, 1]


def test_all_formats_of_the_guide_s_model_say_the_same() -> None:
    models = [read_file(FIXTURES / name) for name in ("guide_sparse.keras", "guide_sparse.h5", "guide_wrapped.h5")]
    first = [(layer.name, layer.class_name) for layer in models[0].layers]
    for model in models[1:]:
        assert [(layer.name, layer.class_name) for layer in model.layers] == first
    assert [layer.class_name for layer in read_file(FIXTURES / "guide_keras3.keras").layers] == [
        class_name for _, class_name in first
    ]


# -- pruning wrappers


def test_pruning_wrappers_are_seen_through(cases: Path) -> None:
    model = read_file(FIXTURES / "guide_wrapped.h5")
    pruned = [layer for layer in model.layers if layer.pruning]
    assert [(layer.name, layer.wrapper) for layer in pruned] == [
        ("conv2d_1", "prune_low_magnitude_conv2d_1"),
        ("conv2d_2", "prune_low_magnitude_conv2d_2"),
    ]
    for layer in pruned:
        assert layer.class_name == "Conv2D" and set(layer.weights) == {"kernel", "bias"}
        assert (layer.weights["kernel"]() == 0).mean() >= 0.75
    # Their masks are random here, and every second element of the kernels is left.
    for name in ("pruned.keras", "pruned.h5", "pruned"):
        kernel = read_file(cases / name).layer("pointwise").weights["kernel"]()
        assert 0.1 < (kernel == 0).mean() < 0.9 and not kernel.flags.writeable


# -- reading lazily


@pytest.mark.parametrize("name", ["keras2_nested.keras", "keras3_nested.h5", "keras2_nested"])
def test_weights_are_read_only_views(cases: Path, name: str) -> None:
    for layer in read_file(cases / name).all_layers():
        for read_weight in layer.weights.values():
            values = read_weight()
            assert not values.flags.writeable and not values.flags.owndata


def test_no_framework_is_imported(cases: Path) -> None:
    code = (
        "import sys\nfrom xnnlint.loaders import load\n"
        "for path in sys.argv[1:]: load(path)\n"
        "loaded = {module.split('.')[0] for module in sys.modules}\n"
        "print(sorted(loaded & {'tensorflow', 'keras', 'tf_keras', 'h5py', 'jax', 'torch'}))"
    )
    paths = [str(cases / name) for name in ("keras2_nested.keras", "keras3_nested.h5", "keras2_nested", "sharded")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_compressed_archives_are_read_too(cases: Path, tmp_path: Path) -> None:
    source = cases / "keras3_shared.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert weights_of(tmp_path / "m.keras") == weights_of(source)


def weights_of(path: Path) -> dict[str, str]:
    layers = read_file(path).all_layers()
    return {
        f"{'/'.join(layer.path)}/{key}": digest(value()) for layer in layers for key, value in layer.weights.items()
    }


def test_folders_and_architectures(cases: Path, tmp_path: Path) -> None:
    source = cases / "keras2_nested.keras"
    zipfile.ZipFile(source).extractall(tmp_path / "unpacked")
    assert weights_of(tmp_path / "unpacked") == weights_of(source) == weights_of(tmp_path / "unpacked" / "config.json")
    assert loaders.find_models([tmp_path]) == [str(tmp_path / "unpacked")]
    shutil.copy(tmp_path / "unpacked" / "config.json", tmp_path / "architecture.json")
    format_, model = read(tmp_path / "architecture.json")
    assert (format_, model.has_weights, weights_of(tmp_path / "architecture.json")) == ("keras", False, {})
    assert [layer.name for layer in model.layers] == [layer.name for layer in read_file(source).layers]


# -- configs


def layer(class_name: str, name: str, inbound: Any = (), **config: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, "dtype": "float32", **config},
        "inbound_nodes": list(inbound),
    }


def functional(layers: list[Any], outputs: Any, inputs: Any = None) -> dict[str, Any]:
    start = layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])
    config = {"name": "model", "layers": [start, *layers], "input_layers": inputs or [["image", 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": outputs}}


def test_arguments_of_keras_2() -> None:
    entry = functional(
        [
            layer("TFOpLambda", "tf.add", [["image", 0, 0, {"y": ["image", 0, 0], "name": None}]]),
            layer("TFOpLambda", "tf.sub", [["_CONSTANT_VALUE", -1, [1.0, 2.0], {"y": ["tf.add", 0, 0]}]]),
            layer("TFOpLambda", "tf.mul", [["_CONSTANT_VALUE", -1, [[3.0, 4.0]], {"y": ["tf.sub", 0, 0]}]]),
            layer("TFOpLambda", "tf.concat", [[["tf.add", 0, 0, {"axis": -1}], ["tf.sub", 0, 0, {"axis": -1}]]]),
            layer("Add", "add", [[["tf.add", 0, 0, {}], ["tf.concat", 0, 0, {}]]]),
            layer("Dense", "dense", [[["add", 0, 0, {"training": False}]], [["tf.sub", 0, 0]]]),
        ],
        {"b": ["dense", 1, 0], "a": [["add", 0, 0]]},
    )
    model = read_model(entry)
    image, add, sub = (TensorRef(name) for name in ("image", "tf.add", "tf.sub"))
    made = {one.name: [(call.args, call.kwargs) for call in one.calls] for one in model.layers}
    assert made["image"] == []
    assert made["tf.add"] == [((image,), {"y": image, "name": None})]
    assert made["tf.sub"] == [(([1.0, 2.0],), {"y": add})]
    assert made["tf.mul"] == [(([[3.0, 4.0]],), {"y": sub})]
    assert made["tf.concat"] == [(([add, sub],), {"axis": -1})]
    assert made["add"] == [(([add, TensorRef("tf.concat")],), {})]
    assert made["dense"] == [((TensorRef("add"),), {"training": False}), ((sub,), {})]
    assert model.outputs == [TensorRef("add"), TensorRef("dense", 1)]
    assert model.layer("tf.sub").calls[0].inputs() == [add]


def keras_tensor(name: str, call: int = 0) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": [name, call, 0]}}


def test_arguments_of_keras_3() -> None:
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"args": list(args), "kwargs": kwargs}

    piece = {"class_name": "__slice__", "config": {"start": 1, "stop": None, "step": 2}}
    entry = functional(
        [
            layer("Add", "add", [call(keras_tensor("image"), 1.5)]) | {"module": "keras.src.ops.numpy"},
            layer("GetItem", "item", [call(keras_tensor("add"), [piece, {"class_name": "__ellipsis__", "config": {}}])])
            | {"module": "keras.src.ops.numpy"},
            layer("Add", "merge", [call([keras_tensor("add"), keras_tensor("item")])]) | {"module": "keras.layers"},
            layer("MultiHeadAttention", "mha", [call(keras_tensor("merge"), value=keras_tensor("add"))]),
        ],
        ["mha", 0, 0],
        ["image", 0, 0],
    )
    model = read_model(entry, "3.5.0")
    assert model.dialect == "keras3"
    assert model.layer("add").calls[0].args == (TensorRef("image"), 1.5) and model.layer("add").is_operation
    assert model.layer("item").calls[0].args == (TensorRef("add"), [slice(1, None, 2), ...])
    assert model.layer("merge").calls[0].args == ([TensorRef("add"), TensorRef("item")],)
    assert not model.layer("merge").is_operation
    assert model.layer("mha").calls[0].inputs() == [TensorRef("merge"), TensorRef("add")]
    assert (model.inputs, model.outputs) == ([TensorRef("image")], [TensorRef("mha")])


@pytest.mark.parametrize(
    ("entry", "opaque"),
    [
        ({"class_name": "Conv2D"}, ""),
        ({"class_name": "TFOpLambda", "module": "tf_keras.src.layers.core.tf_op_layer", "registered_name": "T"}, ""),
        ({"class_name": "Add", "module": "keras.src.ops.numpy", "registered_name": "Add"}, ""),
        ({"class_name": "Swish"}, "custom layer Swish"),
        ({"class_name": "Mine>Conv2D"}, "custom layer Conv2D"),
        ({"class_name": "Conv2D", "module": "my.layers", "registered_name": "Conv2D"}, "custom layer Conv2D"),
        ({"class_name": "Conv2D", "module": None, "registered_name": "Mine>Conv2D"}, "custom layer Conv2D"),
        ({"class_name": "Conv2D", "module": "kerasish.layers"}, "custom layer Conv2D"),
        ({"class_name": "Lambda", "module": "keras.layers"}, "Lambda"),
        ({"class_name": "TimeDistributed"}, "TimeDistributed wrapper"),
        ({"class_name": "QuantizeWrapperV2"}, "quantization wrapper QuantizeWrapperV2"),
    ],
)
def test_what_cannot_be_looked_into_is_said(entry: dict[str, Any], opaque: str) -> None:
    stored = layer("", "it", [[["image", 0, 0, {}]]]) | entry
    assert read_model(functional([stored], [["it", 0, 0]]), "2.15").layer("it").opaque == opaque


def test_a_lambda_s_code_is_never_run() -> None:
    """Its code would unmarshal to something; a file that means harm would have it do something."""
    code = {"class_name": "__lambda__", "config": {"value": {"code": "4wEAAAAAAAAA", "defaults": None}}}
    stored = layer("Lambda", "it", [[["image", 0, 0, {}]]], function=code)
    model = read_model(functional([stored], [["it", 0, 0]]), "2.15")
    assert model.layer("it").config["function"] == code


def test_a_sequential_without_an_input_layer() -> None:
    first = {"class_name": "Conv2D", "config": {"name": "conv", "batch_input_shape": [None, 8, 8, 3]}}
    old_style = {"class_name": "Sequential", "config": [first, {"class_name": "ReLU", "config": {"name": "relu"}}]}
    model = read_model(old_style, "2.1.6")
    assert [(one.class_name, one.added) for one in model.layers] == [
        ("InputLayer", True),
        ("Conv2D", False),
        ("ReLU", False),
    ]
    assert model.layers[0].config["batch_input_shape"] == [None, 8, 8, 3]
    assert model.layer("relu").calls[0].args == (TensorRef("conv"),)


def test_tuples_of_saved_models() -> None:
    value = parse_json(
        '{"a": {"class_name": "__tuple__", "items": [1, {"class_name": "__tuple__", "items": []}]}}', "it"
    )
    assert value == {"a": (1, ())}


# -- models that cannot be read, and what to do


def write(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return path


def test_subclassed_models(tmp_path: Path) -> None:
    config = {"module": None, "class_name": "MyModel", "config": {"name": "my_model"}, "registered_name": "MyModel"}
    says = refuse(write(tmp_path / "m.keras", config__json=json.dumps(config).encode()))
    assert says.startswith("MyModel is a subclassed model") and "Functional API" in says and "TFLiteConverter" in says


def test_a_model_without_the_shape_of_its_input(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer("Dense", "dense")]}}
    (tmp_path / "m.json").write_text(json.dumps(config))
    says = refuse(tmp_path / "m.json")
    assert "the shape of the input of 's' is unknown" in says and "keras.Input" in says


def test_weights_without_a_model(tmp_path: Path, cases: Path) -> None:
    zipfile.ZipFile(cases / "keras3_nested.keras").extract("model.weights.h5", tmp_path)
    assert refuse(tmp_path / "model.weights.h5").startswith("this file holds weights only")
    assert refuse(cases / "sharded" / "model.weights.json").startswith("this file lists weights only")
    assert loaders.find_models([tmp_path]) == [str(tmp_path)]


def test_a_saved_model_without_keras(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    says = refuse(tmp_path)
    assert says.startswith("this SavedModel holds no Keras metadata") and "xnnlint convert" in says


def test_other_archives(tmp_path: Path) -> None:
    assert refuse(write(tmp_path / "m.keras", readme__txt=b"hello")).startswith("this zip archive holds no config.json")


def test_an_archive_without_weights(tmp_path: Path) -> None:
    conv = layer("Conv2D", "it", [[["image", 0, 0, {}]]])
    path = write(tmp_path / "m.keras", config__json=json.dumps(functional([conv], [["it", 0, 0]])).encode())
    assert refuse(path).startswith("the archive holds no model.weights.h5")


def test_a_missing_shard(tmp_path: Path, cases: Path) -> None:
    shutil.copytree(cases / "sharded", tmp_path / "sharded")
    (tmp_path / "sharded" / "model_00001.weights.h5").unlink()
    assert "model_00001.weights.h5" in refuse(tmp_path / "sharded")


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ([["nobody", 0, 0]], "the inputs or outputs of the model 'model' are damaged"),
        ([["it", 1, 0]], "layer 'it' is called 1 times, and call 1 is used"),
        ([["it", -1, 0]], "a tensor comes from 'it'"),
        ([], "the model 'model' has no inputs or no outputs"),
    ],
)
def test_references_to_what_is_not_there(tmp_path: Path, outputs: Any, says: str) -> None:
    entry = functional([layer("Conv2D", "it", [[["image", 0, 0, {}]]])], outputs)
    (tmp_path / "m.json").write_text(json.dumps(entry))
    assert refuse(tmp_path / "m.json").startswith(says)


def test_format_of(tmp_path: Path, cases: Path) -> None:
    assert format_of("x.tflite", b"PK\x03\x04") == "keras"
    assert format_of("x.keras", b"\x89HDF\r\n\x1a\n") == "h5"
    assert format_of("x.keras", b"something") == format_of("x.txt", b"{}") == format_of(tmp_path) == ""
    assert format_of("x.json", b' {"class_name"') == "json"
    assert format_of(cases / "keras2_nested") == "saved_model" and format_of(cases / "sharded") == "keras"
