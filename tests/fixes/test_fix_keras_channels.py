"""Layers that move channels about, as frozen 1x1 convolutions: the same outputs, in Keras and in the real runtime."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rounds import every
from xnnlint.fixes.keras.config_scope import Known, Scope
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.conversion_proof import prove
from xnnlint.fixes.keras.layer_changes.channel_layers import ShuffleByConvolution, SliceByConvolution
from xnnlint.fixes.request import FixRequest
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), even_if_slower=True)
# What is in the network, and the kinds of changes that it takes.
CASES = {
    "split": {"split-by-convolution", "concatenate-by-adding"},
    "slice": {"slice-by-convolution"},
    "shuffle": {"shuffle-by-convolution"},
    "shuffle of operations": {"shuffle-by-convolution"},
    "concatenation": {"concatenate-by-adding"},
    "unit": {"split-by-convolution", "concatenate-by-adding", "shuffle-by-convolution"},
}


def network(keras: Any, what: str) -> Any:
    """A network with one thing that moves channels; all its 1x1 kernels have 80% zeros."""
    import tensorflow as tf

    is_legacy = keras.__name__ == "tf_keras"
    layers, ops = keras.layers, tf if is_legacy else keras.ops
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(layers.ZeroPadding2D(1)(image))
    x = layers.Conv2D(32, 1, activation="relu")(x)
    if what in ("split", "unit"):
        left, right = ops.split(x, 2, axis=-1)
        right = layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(16, 1, activation="relu")(right))
        x = layers.Concatenate()([left, layers.Conv2D(16, 1, activation="relu")(right)])
    elif what == "slice":
        x = layers.Add()([x[:, :, :, :16], layers.Conv2D(16, 1, activation="relu")(x[:, :, :, 16:])])
    elif what == "concatenation":
        x = layers.Concatenate(axis=3)([x, layers.Conv2D(8, 1, activation="relu")(x), x])
    height, width, channels = x.shape[1:]
    if what in ("shuffle", "unit"):
        x = layers.Permute((1, 2, 4, 3))(layers.Reshape((height, width, 4, channels // 4))(x))
        x = layers.Reshape((height, width, channels))(x)
    elif what == "shuffle of operations":
        x = ops.transpose(ops.reshape(x, (-1, height, width, 2, channels // 2)), (0, 1, 2, 4, 3))
        x = ops.reshape(x, (-1, height, width, channels))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(32, 1, activation="relu")(x))
    model = keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))
    numbers = np.random.default_rng(0)
    for layer in model.layers:
        weights = [w + numbers.uniform(0.05, 0.3, w.shape).astype("float32") for w in layer.get_weights()]
        if type(layer).__name__ == "Conv2D" and tuple(layer.kernel_size) == (1, 1):
            weights[0][numbers.random(weights[0].shape) < 0.8] = 0
        layer.set_weights(weights)
    return model


def fixed(package: str, suffix: str, what: str, folder: Path) -> tuple[Any, Any, str]:
    """The model, its repair, and the file that was written."""
    model = network(importlib.import_module(package), what)
    path, target = str(folder / f"model.{suffix}"), str(folder / f"fixed.{suffix}")
    model.save(path)
    done = repair(path, OPTIONS)
    write(done, target)
    return model, done, target


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "suffix"), [("tf_keras", "keras"), ("tf_keras", "h5"), ("keras", "keras")])
@pytest.mark.parametrize("what", every(2, CASES))
def test_keras_loads_it_and_the_outputs_stay(what: str, package: str, suffix: str, tmp_path: Path) -> None:
    model, done, target = fixed(package, suffix, what, tmp_path)
    assert {change.fix for change in done.changes} == CASES[what] and all(c.is_safe for c in done.changes)
    assert done.before.plan.outcome is not Outcome.SPARSE and done.after.plan.outcome is Outcome.SPARSE
    # What only moves channels is not counted.
    own = [layer for layer in model.layers if type(layer).__name__ == "Conv2D" and layer.kernel_size == (1, 1)]
    assert len(done.after.pointwise) == len(done.after.spmm) == len(own)
    new = importlib.import_module(package).models.load_model(target, compile=False)
    for layer in model.layers:
        if layer.get_weights():
            pairs = zip(layer.get_weights(), new.get_layer(layer.name).get_weights(), strict=True)
            assert all((a == b).all() for a, b in pairs)
    assert all(not new.get_layer(name).trainable for change in done.changes for name in change.moving)
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    expected, found = (np.asarray(m(image, training=False)) for m in (model, new))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize(
    ("package", "suffix", "what"),
    [("tf_keras", "h5", "slice"), ("tf_keras", "keras", "unit"), ("keras", "keras", "unit")],
)
def test_the_runtime_runs_it_sparse(package: str, suffix: str, what: str, tmp_path: Path) -> None:
    _, done, target = fixed(package, suffix, what, tmp_path)
    facts = prove(done, OPTIONS, target)
    assert any("it runs sparse in LiteRT" in fact for fact in facts), facts


def entry(class_name: str, name: str, source: str, **config: Any) -> dict[str, Any]:
    named = {"name": name, **config}
    return {"class_name": class_name, "config": named, "name": name, "inbound_nodes": [[[source, 0, 0, {}]]]}


def scope_of(*entries: dict[str, Any], shapes: dict[str, list[int | None]]) -> Scope:
    image = {"class_name": "InputLayer", "config": {"name": "x"}, "name": "x", "inbound_nodes": []}
    last = entry("ReLU", "last", entries[-1]["name"])
    config = {"layers": [image, *entries, last], "input_layers": [["x", 0, 0]], "output_layers": [["last", 0, 0]]}
    return Scope(config, known=Known(shapes))


@pytest.mark.parametrize(
    ("apart", "order", "together"),
    [
        ([8, 8, 2, 4], [1, 2, 3, 4], [8, 8, 8]),  # moves nothing
        ([8, 8, 2, 4], [2, 1, 4, 3], [8, 8, 8]),  # moves pixels
        ([8, 4, 2, 8], [1, 2, 4, 3], [8, 4, 16]),  # takes other pixels together
        ([8, 8, 2, 4], [1, 2, 4, 3], [8, 16, 4]),
    ],
)
def test_other_reshapes_are_no_shuffle(apart: list[int], order: list[int], together: list[int]) -> None:
    layers = (
        entry("Reshape", "apart", "x", target_shape=apart),
        entry("Permute", "order", "apart", dims=order),
        entry("Reshape", "together", "order", target_shape=together),
    )
    scope = scope_of(*layers, shapes={"apart": [None, 8, 8, 8]})
    assert ShuffleByConvolution().match(scope, layers[0]) is None


@pytest.mark.parametrize(
    ("spec", "channels"),
    [
        ([{"class_name": "__ellipsis__"}, {"start": 2, "stop": None, "step": 3}], [2, 5]),
        ([{"class_name": "__ellipsis__"}, {"start": 8, "stop": None, "step": None}], None),  # none
        ([{"start": 1, "stop": None, "step": None}, {"start": 0, "stop": 2, "step": None}], None),  # of the batch
        ([{"class_name": "__ellipsis__"}, 3], None),  # drops the dimension
    ],
)
def test_which_channels_a_slice_takes(spec: list[Any], channels: list[int] | None) -> None:
    call = [["x", 0, 0, {"slice_spec": spec}]]
    layer = {
        "class_name": "SlicingOpLambda",
        "config": {"name": "part", "function": "__operators__.getitem"},
        "name": "part",
        "inbound_nodes": call,
    }
    scope = scope_of(layer, shapes={"part": [None, 8, 8, 8]})
    parts = SliceByConvolution().parts(scope, layer, 8)
    assert parts == (None if channels is None else [channels])
