"""xnnlint.fixes.keras.in_memory: the same fixes for models in memory, in both Keras dialects."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import xnnlint
from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.in_memory import fix_model
from xnnlint.fixes.request import FixRequest
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile


def small_model(keras: Any, *, nested: bool = False) -> Any:
    """A stem padded right and below, depthwise, 1x1, and a pooling without keepdims before a Dense."""
    layers = keras.layers
    image = layers.Input((24, 24, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(image)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(16, 1, activation="relu", name="pointwise")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(5, name="logits")(x)
    model = keras.Model(image, x)
    if not nested:
        return model
    outer = layers.Input((24, 24, 3))
    return keras.Model(outer, layers.Dense(2, name="last")(model(outer)))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_safe_fixes_keep_the_outputs(package, nested):
    keras = importlib.import_module(package)
    model = small_model(keras, nested=nested)
    fixed, done = fix_model(model)
    assert [c.fix for c in done.changes] == ["pooling-keepdims"]
    image = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype("float32")
    assert np.array_equal(model(image), fixed(image))
    inner = next(x for x in fixed.layers if hasattr(x, "layers")) if nested else fixed
    assert inner.get_layer("pool").keepdims is True


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_the_models_own_classes_and_lambdas_are_used(package):
    """Neither is registered, and the Lambda reads a name of this module, which its stored code would not find."""
    keras = importlib.import_module(package)

    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2.0

    image = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation=lambda t: abs(t))(image)
    inner = keras.Input((11, 11, 8))
    nested = keras.Model(inner, keras.layers.Lambda(lambda t: t * np.float32(0.5), output_shape=(11, 11, 8))(inner))
    x = Twice()(nested(x))
    gate = keras.layers.Dense(8, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(x))
    x = keras.layers.Multiply()([x, keras.layers.Reshape((1, 1, 8))(gate)])
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 1)(x))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    fixed, done = fix_model(model)
    # Keras 3 keeps the activation as code, so that it is unknown what comes behind it.
    assert package == "keras" or "gate-of-convolutions" in [change.fix for change in done.changes]
    given = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype("float32")
    np.testing.assert_allclose(model(given), fixed(given), rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_unsafe_fixes_make_it_sparse_with_the_same_weights(package):
    keras = importlib.import_module(package)
    model = small_model(keras)
    fixed, done = fix_model(model, unsafe_fixes=True)
    assert [layer.name for layer in xnnlint.fix(model, unsafe_fixes=True).layers] == [x.name for x in fixed.layers]
    assert done.before.plan.outcome.value == "dense" and done.after.plan.outcome.value == "sparse"
    assert [w.shape for w in model.get_weights()] == [w.shape for w in fixed.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), fixed.get_weights(), strict=True))


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_a_fixed_archive_loads_where_the_original_did(package, tmp_path):
    keras = importlib.import_module(package)
    model = small_model(keras, nested=True)
    model.save(tmp_path / "model.keras")
    done = repair(str(tmp_path / "model.keras"), FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU)))
    write(done, str(tmp_path / "fixed.keras"))
    fixed = keras.models.load_model(tmp_path / "fixed.keras")
    image = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype("float32")
    assert len(done.changes) == 1 and np.array_equal(model(image), fixed(image))


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_the_goal_decides_what_is_changed(package):
    keras = importlib.import_module(package)
    model = keras.models.clone_model(small_model(keras))
    model.get_layer("pointwise").activation = keras.activations.linear
    activation = keras.layers.Activation("tanh", name="act")
    x = keras.layers.Conv2D(8, 1)(activation(model.get_layer("pointwise").output))
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(model.inputs[0], x)
    kept, changed = (xnnlint.fix(model, unsafe_fixes=True, goal=goal) for goal in ("runtime", "policy"))
    assert [m.get_layer("act").activation.__name__ for m in (model, kept, changed)] == ["tanh", "tanh", "elu"]
    with pytest.raises(XnnlintError, match="'speed' is not known"):
        xnnlint.fix(model, goal="speed")


def test_something_else_is_refused():
    with pytest.raises(XnnlintError, match="no Keras model"):
        fix_model(3)
