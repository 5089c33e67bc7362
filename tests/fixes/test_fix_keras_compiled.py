"""What is fixed stays compiled: the optimizer keeps its settings, and its state wherever that still fits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def package(dialect: str) -> Any:
    return pytest.importorskip("tf_keras" if dialect == "keras2" else "keras")


def optimizers(keras: Any, dialect: str) -> dict[str, Any]:
    found = {"adam": keras.optimizers.Adam(1e-2), "sgd": keras.optimizers.SGD(0.01, momentum=0.9)}
    if dialect == "keras2":
        scaled = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam())
        return found | {"legacy": keras.optimizers.legacy.Adam(amsgrad=True), "scaled": scaled}
    return found | {"scaled": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())}


def trained(keras: Any, optimizer: Any, gate: bool) -> Any:
    layers = keras.layers
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.ZeroPadding2D(1)(x))
    y = layers.Conv2D(16, 1, activation="relu", name="one")(y)
    if gate:
        z = layers.Dense(8, activation="relu", name="squeeze")(layers.GlobalAveragePooling2D()(y))
        z = layers.Reshape((1, 1, 16))(layers.Dense(16, activation="sigmoid", name="excite")(z))
        y = layers.Multiply()([y, z])
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1, activation="relu", name="two")(y))
    model = keras.Model(x, layers.Dense(3)(y))
    model.compile(optimizer, loss=keras.losses.MeanSquaredError())
    model.fit(np.ones((4, 16, 16, 3), "float32"), np.ones((4, 3), "float32"), verbose=0)
    for name in ("one", "two"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel.reshape(-1)[: round(0.8 * kernel.size)] = 0
        model.get_layer(name).set_weights([kernel, bias])
    return model


def state(model: Any) -> list[bytes]:
    variables = model.optimizer.variables
    found = variables() if callable(variables) else variables
    return [value.numpy().tobytes() for value in found]


def fixed(path: Path) -> tuple[Path, str]:
    """The file, and what was said."""
    target = path.with_stem("fixed")
    command = [sys.executable, "-m", "xnnlint", "fix", str(path), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert target.exists(), done.stderr
    return target, " ".join(done.stdout.split())


@pytest.mark.parametrize("name", ["adam", "sgd", "scaled", "legacy"])
@pytest.mark.parametrize(("dialect", "suffix"), [("keras2", "keras"), ("keras2", "h5"), ("keras3", "keras")])
def test_state_of_the_optimizer_is_kept(dialect: str, suffix: str, name: str, tmp_path: Path) -> None:
    """Where keepdims is set, say; Keras 3 itself restores no state from .h5."""
    keras = package(dialect)
    optimizer = optimizers(keras, dialect).get(name)
    if optimizer is None:
        pytest.skip("Keras 3 has no such optimizers")
    path = tmp_path / f"model.{suffix}"
    trained(keras, optimizer, gate=False).save(path)
    before, after = (keras.models.load_model(p) for p in (path, fixed(path)[0]))
    assert state(after) == state(before)
    assert keras.optimizers.serialize(after.optimizer) == keras.optimizers.serialize(before.optimizer)


@pytest.mark.parametrize(("dialect", "suffix"), [("keras2", "keras"), ("keras2", "h5"), ("keras3", "keras")])
def test_state_of_another_shape_is_left_out_and_said(dialect: str, suffix: str, tmp_path: Path) -> None:
    """Dense layers become convolutions: Keras loads no model whose optimizer has a state for other shapes."""
    keras = package(dialect)
    path = tmp_path / f"model.{suffix}"
    trained(keras, keras.optimizers.Adam(1e-2), gate=True).save(path)
    target, said = fixed(path)
    assert "the optimizer keeps its settings and starts anew" in said and "(squeeze, excite)" in said
    after = keras.models.load_model(target)
    assert float(after.optimizer.learning_rate) == pytest.approx(1e-2)
    assert after.get_layer("squeeze").get_weights()[0].shape == (1, 1, 16, 8)
    after.fit(np.ones((4, 16, 16, 3), "float32"), np.ones((4, 3), "float32"), verbose=0)
