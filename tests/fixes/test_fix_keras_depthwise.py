"""Changes that put depthwise convolutions with weights of their own into a model, and the HDF5 files that hold them."""

from __future__ import annotations

import importlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.conversion_proof import prove
from xnnlint.fixes.keras.hdf5_links import Hdf5Edit, attribute_of_texts, other_messages
from xnnlint.fixes.keras.in_memory import fix_model
from xnnlint.fixes.request import FixRequest
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_file import read
from xnnlint.loaders.keras.read_hdf5 import File
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), unsafe=True)
# tf_keras's archive and legacy file, and Keras 3's archive.
WRITERS = [("tf_keras", "keras"), ("tf_keras", "h5"), ("keras", "keras")]


def weights(path: Path | str) -> dict[tuple[str, str], bytes]:
    return {
        ("/".join(layer.path), name): load().tobytes()
        for layer in read(path)[1].all_layers()
        for name, load in layer.weights.items()
    }


# --- without Keras ---------------------------------------------------------------------------------------------------


def with_pooling(folder: Path, suffix: str, config: dict[str, Any], class_name: str = "MaxPooling2D") -> str:
    """The guide's model with a pooling in front of its second depthwise convolution, in place of a padding."""
    archive = Archive(str(FIXTURES / f"guide_sparse.{suffix}"))
    document = archive.document
    layers = document["config"]["layers"]
    places = [i for i, entry in enumerate(layers) if entry["class_name"] == "DepthwiseConv2D"]
    layers[places[1]]["config"] |= {"strides": [1, 1], "padding": "same"}
    pad = layers[places[1] - 1]
    assert pad["class_name"] == "ZeroPadding2D"
    pad["class_name"], name = class_name, pad["config"]["name"]
    pad["config"] = {"name": name, "data_format": "channels_last", "strides": [2, 2], "padding": "valid", **config}
    path = str(folder / f"model.{suffix}")
    archive.write(document, path)
    return path


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    ("class_name", "config", "applicability"),
    [
        ("MaxPooling2D", {"pool_size": [2, 2]}, "unsafe"),
        ("MaxPooling2D", {"pool_size": [2, 2], "strides": None}, "unsafe"),
        ("MaxPooling2D", {"pool_size": [3, 3], "padding": "same"}, "unsafe"),
        ("AveragePooling2D", {"pool_size": [2, 2]}, "safe"),
    ],
)
def test_a_pooling_becomes_a_depthwise_convolution(suffix, class_name, config, applicability, tmp_path):
    path = with_pooling(tmp_path, suffix, config, class_name)
    done = repair(path, OPTIONS)
    (change,) = done.changes
    assert change.applicability.value == applicability and bool(change.effect) == (applicability == "unsafe")
    assert change.after[0].startswith("ZeroPadding2D(1,") and change.after[1].startswith("DepthwiseConv2D(3,")
    assert (done.before.plan.outcome.value, done.after.plan.outcome.value) == ("wrong-results", "sparse")
    target = tmp_path / f"fixed.{suffix}"
    write(done, str(target))
    before, after = weights(path), weights(target)
    ((name, kernel),) = done.after.new_weights.items()
    assert after == {**before, (name, "depthwise_kernel"): kernel[0].tobytes()} and len(before) > 10
    assert kernel[0].shape == (3, 3, 16, 1) and np.allclose(kernel[0].sum(axis=(0, 1)), 1)


@pytest.mark.parametrize(
    "config", [{"pool_size": [3, 3], "strides": [1, 1], "padding": "same"}, {"pool_size": [2, 2], "strides": [1, 1]}]
)
def test_a_pooling_that_no_depthwise_convolution_can_stand_for_is_left(config, tmp_path):
    done = repair(with_pooling(tmp_path, "keras", config), OPTIONS)
    assert [change.fix for change in done.changes] == [] and done.exit_code == 1


def test_only_unsafe_fixes_touch_a_max_pooling(tmp_path):
    path = with_pooling(tmp_path, "h5", {"pool_size": [2, 2]})
    done = repair(path, FixRequest(OPTIONS.profile))
    assert done.changes == () and "XNN110" in {f.rule for f in done.remaining}


# --- HDF5 ------------------------------------------------------------------------------------------------------------


def guide_weights() -> bytes:
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as archive:
        return archive.read("model.weights.h5")


@pytest.mark.parametrize("count", [1, 8, 9, 256, 257, 1200])
def test_groups_of_any_size_are_found_again(count):
    data = guide_weights()
    edit = Hdf5Edit(data)
    root = edit.file().root
    group = root.find("layers")
    old = sorted(group.links)[0]
    members = {f"layer_{i}": group.links[old] for i in range(count)}
    added = edit.dataset(np.arange(12, dtype="float32").reshape(3, 4))
    edit.replace(root, "layers", edit.group({**members, "new": added}, [attribute_of_texts("list", ["a", "bcd"])]))
    changed = edit.finish()
    found = File(memoryview(changed)).root.find("layers")
    assert sorted(found.links) == sorted([*members, "new"])
    assert found.find("new").dataset.read().tolist() == np.arange(12).reshape(3, 4).tolist()
    assert found.attributes["list"] == ["a", "bcd"]
    # But for one entry and the end of the file, what was there is where it was.
    assert sum(a != b for a, b in zip(data, changed, strict=False)) <= 24 + 8


def test_attributes_are_carried_over():
    data = (FIXTURES / "guide_sparse.h5").read_bytes()
    edit = Hdf5Edit(data)
    root = edit.file().root
    group = root.find("model_weights")
    was = group.attributes
    edit.replace(root, "model_weights", edit.group(group.links, other_messages(group, ["layer_names"])))
    now = File(memoryview(edit.finish())).root.find("model_weights").attributes
    assert now == {name: value for name, value in was.items() if name != "layer_names"} and len(now) == len(was) - 1 > 0


def test_files_of_another_layout_are_refused():
    data = bytearray(guide_weights())
    data[16] = 8
    with pytest.raises(Unreadable, match="does not by default"):
        Hdf5Edit(bytes(data))


@pytest.mark.tensorflow
@pytest.mark.parametrize("count", [1, 9, 300])
def test_h5py_reads_what_was_put_in(count):
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers/conv/vars")["0"] = np.arange(4, dtype="float32")
        file["layers"].attrs["note"] = "kept"
    edit = Hdf5Edit(buffer.getvalue())
    root = edit.file().root
    group = root.find("layers")
    kernel = np.arange(18, dtype="float32").reshape(3, 3, 2, 1)
    new = edit.group({"vars": edit.group({"0": edit.dataset(kernel)})})
    members = {f"conv_{i}": group.links["conv"] for i in range(count)}
    edit.replace(root, "layers", edit.group({**members, "new": new}, other_messages(group)))
    with h5py.File(io.BytesIO(edit.finish())) as file:
        assert sorted(file["layers"]) == sorted([*members, "new"]) and file["layers"].attrs["note"] == "kept"
        assert (file["layers/new/vars/0"][()] == kernel).all()
        assert all((file[f"layers/{name}/vars/0"][()] == np.arange(4)).all() for name in members)


# --- with Keras, TensorFlow and the real runtime ---------------------------------------------------------------------


def network(keras: Any, what: str) -> Any:
    """A network that has one thing that the sparse path does not take, with depthwise convolutions around it."""
    keras.utils.set_random_seed(5)
    layers = keras.layers

    def separable(x: Any, filters: int) -> Any:
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return layers.Conv2D(filters, 1, activation="relu")(x)

    image = layers.Input((24, 40, 3))
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = separable(x, 16)
    if what == "max_pool":
        x = layers.MaxPooling2D(2)(x)
    elif what == "padded_max_pool":
        x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    elif what == "average_pool":
        x = layers.AveragePooling2D(2)(x)
    elif what == "strided_pointwise":
        x = layers.Conv2D(16, 1, strides=2, activation="relu")(x)
    elif what == "subtract":
        x = layers.Subtract()([x, separable(x, 16)])
    elif what == "minus":
        x = x - separable(x, 16)
    elif what == "average":
        x = layers.Add()([x, layers.Average()([x, separable(x, 16)])])
    elif what == "add_itself":
        x = layers.Add()([x, x])
    elif what == "normalization":
        x = layers.BatchNormalization()(layers.Add()([x, separable(x, 16)]))
    elif what == "rescaling":
        x = layers.Rescaling(0.5, offset=0.25)(x)
    elif what == "scaled":
        x = layers.Add()([x, x * 0.5])
    elif what == "gate":
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = layers.Conv2D(16, 1)(layers.Conv2D(8, 1, activation="relu")(gate))
        x = layers.Multiply()([x, layers.ReLU(6.0)(gate + 3.0) * (1 / 6)])
    x = separable(x, 24)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


def save(folder: Path, package: str, suffix: str, what: str) -> str:
    keras = importlib.import_module(package)
    model = network(keras, what)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([w + rng.uniform(0.05, 0.3, w.shape).astype("float32") for w in layer.get_weights()])
    path = str(folder / f"{what}.{suffix}")
    model.save(path)
    return path


CASES = [
    ("max_pool", "max-pooling-to-depthwise", "unsafe"),
    ("padded_max_pool", "max-pooling-to-depthwise", "unsafe"),
    ("average_pool", "average-pooling-to-depthwise", "safe"),
    ("strided_pointwise", "strided-pointwise", "safe"),
    ("subtract", "subtract-to-add", "safe"),
    ("minus", "subtract-to-add", "safe"),
    ("average", "average-to-half-sum", "safe"),
    ("add_itself", "sum-of-the-same", "safe"),
    ("normalization", "normalization-behind-depthwise", "safe"),
    ("rescaling", "scale-to-depthwise", "safe"),
    ("scaled", "scale-to-depthwise", "safe"),
    ("gate", "constant-of-four-dimensions", "safe"),
]


# Each case by one of the writers, in turns, and the others with `-m more`.
PAIRS = [
    pytest.param(*writer, *case, marks=[] if number % len(WRITERS) == place else pytest.mark.more)
    for number, case in enumerate(CASES)
    for place, writer in enumerate(WRITERS)
]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "suffix", "what", "fixer", "applicability"), PAIRS)
def test_keras_loads_it_and_safe_ones_keep_the_outputs(package, suffix, what, fixer, applicability, tmp_path):
    path, target = save(tmp_path, package, suffix, what), str(tmp_path / f"fixed.{suffix}")
    done = repair(path, OPTIONS)
    assert {(c.fix, c.applicability.value) for c in done.changes} == {(fixer, applicability)}
    write(done, target)
    keras = importlib.import_module(package)
    old, new = (keras.models.load_model(p, compile=False) for p in (path, target))
    for layer in old.layers:
        pairs = zip(layer.get_weights(), new.get_layer(layer.name).get_weights(), strict=True)
        assert layer.name in done.after.new_weights or all((a == b).all() for a, b in pairs)
    for name, arrays in done.after.new_weights.items():
        assert all((a == b).all() for a, b in zip(arrays, new.get_layer(name).get_weights(), strict=True))
    image = np.random.default_rng(0).normal(size=(2, 24, 40, 3)).astype("float32")
    expected, found = (np.asarray(m(image, training=False)) for m in (old, new))
    close = np.allclose(expected, found, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert expected.shape == found.shape and close is (applicability == "safe")


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("what", every(3, [case[0] for case in CASES]))
def test_the_runtime_runs_it_sparse(what, tmp_path):
    path, target = save(tmp_path, "tf_keras", "keras", what), str(tmp_path / "fixed.keras")
    done = repair(path, OPTIONS)
    write(done, target)
    assert "it runs sparse in LiteRT" in prove(done, OPTIONS, target)[2]


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_models_in_memory_get_the_new_weights(package):
    keras = importlib.import_module(package)
    model = network(keras, "average_pool")
    fixed, done = fix_model(model)
    assert [c.fix for c in done.changes] == ["average-pooling-to-depthwise"]
    image = np.random.default_rng(0).normal(size=(2, 24, 40, 3)).astype("float32")
    expected, found = (np.asarray(m(image, training=False)) for m in (model, fixed))
    assert np.abs(expected).max() > 0.01 and np.allclose(expected, found, rtol=1e-5, atol=1e-6)
