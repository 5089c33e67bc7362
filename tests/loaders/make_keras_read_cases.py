"""Makes keras_read_cases.zip: small models as Keras saves them, and what Keras itself finds in them when it loads them.

`python -m tests.loaders.make_keras_read_cases` needs tf_keras, Keras 3 and tensorflow-model-optimization, and takes
a minute. In the archive, expected.json lists for every file its layers with their calls and the digests of their
weights, all taken from the model that Keras loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.models import DATA

TARGET = DATA / "keras_read_cases.zip"


def main() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow_model_optimization as tfmot
    import tf_keras

    if not keras.__version__.startswith("3"):
        sys.exit(f"this needs Keras 3, not {keras.__version__}")
    expected: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for package, prefix, formats in (
            (tf_keras, "keras2", ("keras", "h5", "tf")),
            (keras, "keras3", ("keras", "h5")),
        ):
            for make in MODELS:
                package.backend.clear_session()
                model = make(package)
                _randomize(model)
                for format_ in formats:
                    name = f"{prefix}_{make.__name__}{'' if format_ == 'tf' else '.' + format_}"
                    _save(model, folder / name, format_)
                    expected[name] = describe(package.models.load_model(folder / name, compile=False))
        _pruned(tf_keras, tfmot, folder, expected)
        _unpacked(keras, folder, expected)
        _compressed(folder, expected)
        _pack(folder, expected)


def _pruned(keras: Any, tfmot: Any, folder: Path, expected: dict[str, Any]) -> None:
    prune, layers = tfmot.sparsity.keras, keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 1, name="pointwise"),
            layers.SeparableConv2D(4, 3, name="separable"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, name="head"),
        ],
        name="pruned",
    )
    wrapped = prune.prune_low_magnitude(model, prune.ConstantSparsity(0.5, 0, frequency=1))
    _randomize(wrapped)
    for layer in wrapped.layers:
        for _, mask, _ in getattr(layer, "pruning_vars", ()):
            mask.assign(np.random.default_rng(7).random(mask.shape) < 0.5)
    for name, format_ in (("pruned.keras", "keras"), ("pruned.h5", "h5"), ("pruned", "tf")):
        _save(wrapped, folder / name, format_)
        with prune.prune_scope():
            expected[name] = describe(keras.models.load_model(folder / name, compile=False))


def _unpacked(keras: Any, folder: Path, expected: dict[str, Any]) -> None:
    """Weights in shards, which Keras 3 writes for a model's weights alone."""
    keras.backend.clear_session()
    model = nested(keras)
    _randomize(model)
    target = folder / "sharded"
    target.mkdir()
    (target / "config.json").write_text(model.to_json())
    (target / "metadata.json").write_text(json.dumps({"keras_version": keras.__version__}))
    model.save_weights(target / "model.weights.json", max_shard_size=3e-7)
    expected["sharded"] = describe(model)


def _compressed(folder: Path, expected: dict[str, Any]) -> None:
    """A legacy file whose arrays somebody has packed, as h5repack does it."""
    import h5py

    def copy(source: Any, target: Any) -> None:
        target.attrs.update(source.attrs)
        for name, part in source.items():
            if isinstance(part, h5py.Dataset):
                packed = {"compression": "gzip", "shuffle": True, "fletcher32": True} if part.ndim else {}
                target.create_dataset(name, data=part[()], **packed)
            else:
                copy(part, target.create_group(name))

    with h5py.File(folder / "keras2_frozen.h5") as source, h5py.File(folder / "chunked.h5", "w") as target:
        copy(source, target)
    expected["chunked.h5"] = expected["keras2_frozen.h5"]


def _pack(folder: Path, expected: dict[str, Any]) -> None:
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:

        def add(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)

        add("expected.json", json.dumps(expected, indent=1).encode())
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != "fingerprint.pb":
                # The TensorFlow graph is large, and nobody reads it.
                data = b"" if path.name == "saved_model.pb" else path.read_bytes()
                add(path.relative_to(folder).as_posix(), data)


def _save(model: Any, path: Path, format_: str) -> None:
    model.save(str(path), **({"save_format": "tf"} if format_ == "tf" else {}))


def _randomize(model: Any) -> None:
    random = np.random.default_rng(1)
    values = [random.random(w.shape).astype(w.dtype) if w.dtype.kind == "f" else w for w in model.get_weights()]
    model.set_weights(values)


# What Keras finds


def describe(model: Any) -> dict[str, Any]:
    """Layers by path, with the layers that each call reads, and the digests of their weights by name."""
    return {"layers": dict(_layers(model, "")), "outputs": [_source(tensor) for tensor in model.outputs]}


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    calls = _calls(model)
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        inner = layer.layer if hasattr(layer, "pruning_vars") else layer
        path = f"{prefix}{inner.name}"
        yield (
            path,
            {
                "calls": sorted(calls.get(layer.name, [])),
                "weights": {} if hasattr(layer, "layers") else _weights(layer),
            },
        )
        if hasattr(layer, "layers"):
            yield from _layers(layer, f"{path}/")


def _calls(model: Any) -> dict[str, list[Any]]:
    """For Functional models: of each layer's calls, the tensors that go in."""
    found: dict[str, list[Any]] = {}
    if type(model).__name__ == "Sequential":
        return found
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            layer = getattr(node, "operation", None) or node.layer
            tensors = node.input_tensors if hasattr(node, "operation") else node.keras_inputs
            if type(layer).__name__ != "InputLayer":
                found.setdefault(layer.name, []).append([_source(tensor) for tensor in tensors])
    return found


def _source(tensor: Any) -> list[Any]:
    history = tensor._keras_history
    return [history[0].name, history[2]]


def _weights(layer: Any) -> dict[str, str]:
    masked = {id(weight): mask for weight, mask, _ in getattr(layer, "pruning_vars", ())}
    inner = layer.layer if hasattr(layer, "pruning_vars") else layer
    found = {}
    for weight in inner.weights:
        values = np.asarray(weight)
        if id(weight) in masked:
            values = values * np.asarray(masked[id(weight)])
        name = weight.name.split(":")[0].split("/")[-1]
        if type(inner).__name__ == "DepthwiseConv2D" and name == "kernel":
            name = "depthwise_kernel"
        found[name] = digest(values)
    return dict(sorted(found.items()))


def digest(values: np.ndarray) -> str:
    values = np.ascontiguousarray(values)
    return f"{values.dtype.name} {list(values.shape)} {hashlib.sha256(values.tobytes()).hexdigest()[:16]}"


# The models: everything that makes it hard to find out which weights belong where


def _block(keras: Any, index: int) -> Any:
    layers = keras.layers
    start = keras.Input((8, 8, 2))
    x = layers.Conv2D(2, 1, use_bias=False, name=f"conv_{index}")(start)
    x = layers.BatchNormalization(name=f"norm_{index}", scale=bool(index % 2))(x)
    tail = keras.Sequential(
        [
            layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{index}"),
            layers.BatchNormalization(name=f"tail_norm_{index}"),
            layers.ReLU(6.0, name=f"relu_{index}"),
        ],
        name=f"tail_{index}",
    )
    return keras.Model(start, layers.Add(name=f"add_{index}")([tail(x), start]), name=f"block_{index}")


def nested(keras: Any) -> Any:
    """Models in models, and layers of the same classes around them."""
    layers = keras.layers
    start = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(2, 3, padding="same", name="stem")(start)
    for index in range(2):
        x = _block(keras, index)(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    return keras.Model(start, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="nested")


def shared(keras: Any) -> Any:
    """A layer and a model that are called twice; inputs and outputs in dictionaries."""
    layers = keras.layers
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    stem, block = layers.Conv2D(2, 1, name="stem"), _block(keras, 7)
    a, b = block(stem(left)), block(stem(right))
    far = layers.GlobalMaxPooling2D(name="far")(layers.Subtract(name="difference")([a, b]))
    near = layers.Conv2D(2, 1, name="near")(layers.Concatenate(name="both")([b, a]))
    return keras.Model({"right": right, "left": left}, {"z": far, "a": near}, name="shared")


def sequence(keras: Any) -> Any:
    """A Sequential without an input layer, built later; all kinds of variables."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Conv2D(4, 1, name="conv"),
            layers.BatchNormalization(center=False, name="norm"),
            layers.PReLU(shared_axes=[1, 2], name="prelu"),
            layers.LayerNormalization(name="layer_norm"),
            layers.SeparableConv2D(3, 3, name="separable"),
            layers.Conv2DTranspose(2, 2, strides=2, name="transposed"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(2, use_bias=False, name="head"),
        ],
        name="sequence",
    )
    model.build((None, 8, 8, 3))
    return model


def frozen(keras: Any) -> Any:
    """Layers that are not trained, in a nested model: legacy files have other weights first."""
    layers = keras.layers
    start = x = keras.Input((8, 8, 3))
    for index in range(3):
        conv, norm = layers.Conv2D(3, 1, name=f"conv_{index}"), layers.BatchNormalization(name=f"norm_{index}")
        conv.trainable, norm.trainable = index != 1, index == 1
        x = norm(conv(x))
    inner = keras.Model(start, x, name="inner")
    outer = keras.Input((8, 8, 3))
    return keras.Model(outer, layers.Conv2D(1, 1, name="last")(inner(outer)), name="frozen")


def normalized(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input((8, 8, 3))
    measured = layers.Normalization(name="measured")
    measured.adapt(np.random.default_rng(3).random((4, 8, 8, 3)))
    x = measured(layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(start))
    x = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0], name="given")(x)
    return keras.Model(start, layers.Conv2D(2, 1, name="conv")(x), name="normalized")


MODELS: tuple[Callable[[Any], Any], ...] = (nested, shared, sequence, frozen, normalized)

if __name__ == "__main__":
    main()
