"""Convolutions of stride 2 that are padded less at the top and left, padded alike: the same outputs."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import FIXTURES
from xnnlint.fixes.keras.config_scope import Known, Scope
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.conversion_proof import prove
from xnnlint.fixes.keras.in_memory import fix_model
from xnnlint.fixes.keras.layer_changes.strided_layers import StemByPicking, ZeroTaps
from xnnlint.fixes.not_made import Why
from xnnlint.fixes.request import FixRequest
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), even_if_slower=True)
PADDED = FIXTURES / "cases" / "tfk_mbv2_same.keras"
KINDS = {"zero-taps", "stem-by-picking"}


def network(keras: Any, how: str) -> Any:
    """A stem and a depthwise convolution of stride 2, and 1x1 kernels of 80% zeros; the image is 32x24."""
    layers = keras.layers
    keras.utils.set_random_seed(2)

    def strided(make: Any, x: Any, *arguments: Any) -> Any:
        if how != "layers in front":
            return make(*arguments, 3, strides=2, padding="same")(x)
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        return make(*arguments, 3, strides=2, use_bias=False)(x)

    image = keras.Input((32, 24, 3))
    x = layers.ReLU()(layers.BatchNormalization()(strided(layers.Conv2D, image, 8)))
    x = layers.Conv2D(32, 1, activation="relu")(x)
    x = layers.ReLU()(layers.BatchNormalization()(strided(layers.DepthwiseConv2D, x)))
    x = layers.Conv2D(48, 1, activation="relu")(x)
    if how == "5x5 behind":
        x = layers.DepthwiseConv2D(5, strides=2, padding="same")(x)
        x = layers.Conv2D(48, 1, activation="relu")(x)
    x = layers.GlobalAveragePooling2D(keepdims=how != "5x5 behind")(x)
    model = keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))
    numbers = np.random.default_rng(0)
    for layer in model.layers:
        weights = [w + numbers.uniform(0.05, 0.3, w.shape).astype("float32") for w in layer.get_weights()]
        if type(layer).__name__ == "Conv2D" and tuple(layer.kernel_size) == (1, 1):
            weights[0][numbers.random(weights[0].shape) < 0.9] = 0
        layer.set_weights(weights)
    return model


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "suffix"), [("tf_keras", "keras"), ("tf_keras", "h5"), ("keras", "keras")])
@pytest.mark.parametrize("how", ["same", "layers in front"])
def test_keras_loads_it_and_the_outputs_stay(how: str, package: str, suffix: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    model, path, target = network(keras, how), str(tmp_path / f"m.{suffix}"), str(tmp_path / f"f.{suffix}")
    model.save(path)
    done = repair(path, OPTIONS)
    assert {change.fix for change in done.changes} == KINDS and all(change.is_safe for change in done.changes)
    assert done.after.plan.outcome is Outcome.SPARSE and len(done.after.spmm) == len(done.after.pointwise) == 2
    write(done, target)
    new = keras.models.load_model(target, compile=False)
    image = np.random.default_rng(0).normal(size=(2, 32, 24, 3)).astype("float32")
    expected, found = (np.asarray(m(image, training=False)) for m in (model, new))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize(("package", "how"), [("tf_keras", "layers in front"), ("keras", "same")])
def test_the_runtime_runs_it_sparse(package: str, how: str, tmp_path: Path) -> None:
    path, target = str(tmp_path / "model.keras"), str(tmp_path / "fixed.keras")
    network(importlib.import_module(package), how).save(path)
    done = repair(path, OPTIONS)
    write(done, target)
    facts = prove(done, OPTIONS, target)
    assert any("it runs sparse in LiteRT" in fact for fact in facts), facts


@pytest.mark.tensorflow
def test_a_model_in_memory_gets_the_larger_kernel() -> None:
    keras = importlib.import_module("tf_keras")
    model = network(keras, "same")
    fixed, done = fix_model(model)
    image = np.random.default_rng(0).normal(size=(2, 32, 24, 3)).astype("float32")
    expected, found = (np.asarray(m(image, training=False)) for m in (model, fixed))
    # Whether so small a model pays is another matter.
    assert done.changes or done.declined is not None
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_weights_stand_among_zeros() -> None:
    done = repair(str(PADDED), OPTIONS)
    assert done.after.plan.outcome is Outcome.SPARSE and len(done.after.spmm) == 12
    assert done.after.grown_layers(done.before.keras) == ["depthwise_conv2d_1", "depthwise_conv2d_3"]
    for name in ("depthwise_conv2d_1", "depthwise_conv2d_3"):
        (old,) = (read() for read in done.before.keras.layer(name).weights.values())
        (new,) = done.after.new_weights[name]
        assert new.shape[:2] == (5, 5) and not new[:2].any() and not new[:, :2].any()
        assert new[2:, 2:].tobytes() == old.tobytes()
    (stem,) = (read() for read in done.before.keras.layer("conv2d").weights.values())
    assert done.after.new_weights["conv2d"][0].tobytes() == stem.tobytes()


def test_the_picks_compute_what_the_stem_does() -> None:
    """In numpy: one channel for each tap, and the pixel that the tap reads."""
    done = repair(str(PADDED), OPTIONS)
    (picks,), (shifts,) = (done.after.new_weights[f"conv2d_{part}"] for part in ("picks", "shifts"))
    image = np.random.default_rng(0).normal(size=(8, 8, 3))
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    picked = np.array(
        [[np.tensordot(padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3], picks, 3) for j in range(4)] for i in range(4)]
    )
    around = np.pad(picked, ((1, 1), (1, 1), (0, 0)))
    found = sum(around[a : a + 4, b : b + 4] * shifts[a, b, :, 0] for a in range(3) for b in range(3))
    beyond = np.pad(image, ((0, 2), (0, 2), (0, 0)))
    wanted = [[beyond[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].reshape(-1) for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(found, wanted)


def test_with_unsafe_fixes_the_cheaper_padding_is_taken() -> None:
    done = repair(str(PADDED), FixRequest(OPTIONS.profile, unsafe=True))
    assert "padding-on-all-sides" in {change.fix for change in done.changes}
    assert not KINDS & {change.fix for change in done.changes}
    other = {item.fix: item.detail for item in done.not_made if item.why is Why.OTHER_WAY}
    assert other == dict.fromkeys(KINDS, "padding-on-all-sides")


def test_nothing_is_made_larger_in_a_model_that_stays_dense() -> None:
    """Zeros that are only assumed are none for a stem to share, and without it the cluster has no entry."""
    done = repair(str(PADDED), FixRequest(OPTIONS.profile, even_if_slower=True, assume_pruned=0.8))
    assert done.after.plan.outcome is Outcome.DENSE
    assert not KINDS & {change.fix for change in done.changes}
    (item,) = [item for item in done.not_made if item.fix == "zero-taps"]
    assert item.why is Why.NOT_NEEDED


@pytest.mark.tensorflow
def test_what_does_harm_stays_out_when_vain_changes_are_taken_back(tmp_path: Path) -> None:
    """The stem alone makes a cluster that a larger depthwise convolution breaks."""
    path = tmp_path / "model.keras"
    network(importlib.import_module("tf_keras"), "5x5 behind").save(path)
    done = repair(str(path), FixRequest(OPTIONS.profile, even_if_slower=True))
    assert [change.fix for change in done.changes] == ["pooling-keepdims"]
    assert done.after.plan.outcome is Outcome.DENSE
    whys = {item.fix: item.why for item in done.not_made}
    assert (whys["stem-by-picking"], whys["zero-taps"]) == (Why.HARMFUL, Why.NOT_NEEDED)


def layer(class_name: str, kernel: int, **config: Any) -> dict[str, Any]:
    named = {"name": "it", "filters": 8, "kernel_size": [kernel] * 2, "strides": [2, 2], "padding": "same", **config}
    return {"class_name": class_name, "config": named, "name": "it", "inbound_nodes": [[["x", 0, 0, {}]]]}


def scope_of(entry: dict[str, Any], size: int, channels: int = 3, zeros: tuple[int, int] = (10_000, 9_000)) -> Scope:
    image = {"class_name": "InputLayer", "config": {"name": "x"}, "name": "x", "inbound_nodes": []}
    config = {"layers": [image, entry], "input_layers": [["x", 0, 0]], "output_layers": [["it", 0, 0]]}
    return Scope(config, known=Known({"it": [None, size, size, channels]}, zeros=zeros))


@pytest.mark.parametrize(
    ("entry", "size", "fits"),
    [
        (layer("DepthwiseConv2D", 3), 8, True),
        (layer("DepthwiseConv2D", 3), 9, False),  # padded by one on every side as it is
        (layer("DepthwiseConv2D", 5), 8, False),  # its last tap is three pixels away
        (layer("DepthwiseConv2D", 3, strides=[1, 1]), 8, False),
        (layer("DepthwiseConv2D", 3, dilation_rate=[2, 2]), 8, False),
        (layer("DepthwiseConv2D", 3, depth_multiplier=2), 8, False),
    ],
)
def test_which_depthwise_convolutions_get_zero_taps(entry: dict[str, Any], size: int, fits: bool) -> None:
    assert (ZeroTaps().match(scope_of(entry, size), entry) is not None) == fits


@pytest.mark.parametrize(
    ("channels", "zeros", "fits"),
    [
        (3, (10_000, 9_000), True),
        (3, (1_000, 690), False),  # its own 216 weights would count, too
        (3, (0, 0), False),  # zeros that are only assumed
        (1, (10_000, 9_000), False),
    ],
)
def test_which_stems_are_picked(channels: int, zeros: tuple[int, int], fits: bool) -> None:
    entry = layer("Conv2D", 3)
    scope = scope_of(entry, 8, channels, zeros)
    assert (StemByPicking().match(scope, entry) is not None) == fits
