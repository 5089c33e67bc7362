"""Exact rewrites of Keras layers: what they bring, that outputs stay, and that files hold the weights as written."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.conversion_proof import prove
from xnnlint.fixes.request import FixRequest
from xnnlint.loaders.keras.read_file import read
from xnnlint.runtime.tensorflow_converter import load
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

CASES = FIXTURES / "cases"
# The kind of change, and how many 1x1 convolutions run SpMM then, of how many: seen in runs.
BROUGHT = {
    "tfk_mbv3_hswish_div": ("constant-of-four-dimensions", 16, 16),
    "k3_mbv3_hswish_layer": ("hard-sigmoid-of-layers", 16, 16),
    "tfk_se_is_expand": ("gate-of-convolutions", 6, 6),
    "tfk_se_is_dense": ("zeros-on-one-pixel", 6, 6),
    "k3_batch_fixed": ("dense-head", 2, 2),
}
OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), even_if_slower=True)


@pytest.mark.parametrize("name", BROUGHT)
def test_the_case_becomes_sparse_by_safe_changes(name: str) -> None:
    kind, spmm, convolutions = BROUGHT[name]
    done = repair(str(CASES / f"{name}.keras"), OPTIONS)
    assert kind in {change.fix for change in done.changes} and all(change.is_safe for change in done.changes)
    assert (done.after.plan.outcome, len(done.after.spmm), len(done.after.pointwise)) == (
        Outcome.SPARSE,
        spmm,
        convolutions,
    )


def test_a_gate_of_dense_layers_becomes_convolutions_of_the_same_weights() -> None:
    """Its Dense kernels have no zeros, so that copies of a pixel have to have them."""
    done = repair(str(CASES / "tfk_se_is_dense.keras"), OPTIONS)
    assert done.remaining == []
    assert {name for change in done.changes for name in change.moving} == {"dense_2_copy", "dense_2_copy_1"}
    for (kernel,) in (done.after.new_weights[name] for name in ("dense_2_copy", "dense_2_copy_1")):
        np.testing.assert_array_equal(kernel[0, 0], np.eye(24))
    before, after = done.before.keras, done.after.keras
    for name in ("dense", "dense_1", "dense_2", "dense_3"):
        assert (before.layer(name).class_name, after.layer(name).class_name) == ("Dense", "Conv2D")
        for old, new in zip(before.layer(name).weights.values(), after.layer(name).weights.values(), strict=True):
            assert old().tobytes() == new().tobytes()
        assert after.layer(name).weights["kernel"]().shape[:2] == (1, 1)


@pytest.mark.parametrize("name", ["tfk_se_is_dense", "k3_batch_fixed"])
def test_the_file_that_is_written_reads_back(name: str, tmp_path: Path) -> None:
    done, target = repair(str(CASES / f"{name}.keras"), OPTIONS), str(tmp_path / "fixed.keras")
    write(done, target)
    old, new = (
        {("/".join(layer.path), key): value() for layer in model.all_layers() for key, value in layer.weights.items()}
        for model in (done.before.keras, read(target)[1])
    )
    put_in = {name for change in done.changes for name in change.moving}
    assert old.keys() == {key for key in new if key[0] not in put_in}
    assert all(old[key].tobytes() == new[key].tobytes() for key in old)


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("name", every(2, BROUGHT))
def test_the_changed_file_is_proven(name: str, tmp_path: Path) -> None:
    done, target = repair(str(CASES / f"{name}.keras"), OPTIONS), str(tmp_path / "fixed.keras")
    write(done, target)
    facts = prove(done, OPTIONS, target)
    assert any("it gives the same outputs" in fact for fact in facts)


def spelled(keras: Any, gate: str) -> Any:
    """A gate of squeeze-and-excite behind each of two convolutions, in one of its spellings, and a head."""
    layers, image = keras.layers, keras.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.ZeroPadding2D()(image))
    for filters in (12, 16):
        x = layers.Conv2D(filters, 1, activation="relu")(x)
        s = layers.GlobalAveragePooling2D()(x)
        if gate == "dense":
            s = layers.Dense(filters, activation="sigmoid")(layers.Dense(4, activation="relu")(s))
            s = layers.Reshape((1, 1, filters))(s)
        else:
            s = layers.Dense(4, activation="relu", use_bias=False)(layers.Reshape((1, 1, filters))(s))
            s = layers.Activation("hard_sigmoid")(layers.Dense(filters, use_bias=False)(s))
        x = layers.Multiply()([x, s])
    x = layers.Dropout(0.2)(layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(image, layers.Flatten()(layers.Softmax()(layers.Conv2D(5, 1)(x))))


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
@pytest.mark.parametrize("gate", ["dense", "dense behind a reshape"])
def test_keras_loads_what_was_written(gate: str, package: str, suffix: str, tmp_path: Path) -> None:
    model = spelled(importlib.import_module(package), gate)
    path, target = str(tmp_path / f"model.{suffix}"), str(tmp_path / f"fixed.{suffix}")
    model.save(path)
    done = repair(path, OPTIONS)
    assert "gate-of-convolutions" in {change.fix for change in done.changes}
    write(done, target)
    fixed = load(target)
    image = np.random.default_rng(1).normal(size=(2, 24, 24, 3)).astype("float32")
    np.testing.assert_allclose(model(image), fixed(image), rtol=1e-5, atol=1e-6)
