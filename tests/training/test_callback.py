"""The callback through real fits, and the watch that it stands on."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xnnlint
from tests.models import FIXTURES, ROOT
from xnnlint.errors import XnnlintError
from xnnlint.keras import LintCallback
from xnnlint.training.watch import TrainingWatch
from xnnlint.xnnpack.plan import Outcome

EPOCHS = 3


def network(keras: Any, *, padding: str = "valid") -> Any:
    layers = keras.layers
    image = layers.Input((32, 32, 3))
    x = layers.ZeroPadding2D(1)(image) if padding == "valid" else image
    x = layers.Conv2D(8, 3, strides=2, padding=padding, activation="relu", name="stem")(x)
    x = layers.Conv2D(16, 1, activation="relu", name="first")(x)
    x = layers.Conv2D(32, 1, name="second")(x)
    x = layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(image, layers.Dense(10)(x))


def fit(keras: Any, model: Any, callbacks: list[Any], epochs: int = EPOCHS) -> dict[str, list[float]]:
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    done = model.fit(images, np.zeros(8), batch_size=2, epochs=epochs, callbacks=callbacks, verbose=0)
    history: dict[str, list[float]] = done.history
    return history


@pytest.mark.tensorflow
def test_zeros_are_those_of_the_saved_model(tmp_path: Path) -> None:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    keras = importlib.import_module("tf_keras")
    tfmot = importlib.import_module("tensorflow_model_optimization").sparsity.keras
    schedule = tfmot.PolynomialDecay(0.2, 0.8, begin_step=0, end_step=4 * EPOCHS - 2, power=1, frequency=1)

    def wrapped(layer: Any) -> Any:
        is_pointwise = layer.name in ("first", "second")
        return tfmot.prune_low_magnitude(layer, pruning_schedule=schedule) if is_pointwise else layer

    model = keras.models.clone_model(network(keras), clone_function=wrapped)
    said: list[str] = []
    watch = LintCallback(csv=tmp_path / "zeros.csv", log_dir=tmp_path / "logs", tell=said.append)

    def save(epoch: int, logs: Any) -> None:
        model.save(tmp_path / f"{epoch}.h5")

    saving = keras.callbacks.LambdaCallback(on_epoch_end=save)
    history = fit(keras, model, [tfmot.UpdatePruningStep(), watch, saving])

    for epoch, look in enumerate(watch.looks):
        plan = xnnlint.lint(tmp_path / f"{epoch}.h5").plan
        assert plan is not None and plan.summary is not None
        (cluster,) = look.clusters
        assert cluster.layers == ("first", "second")
        assert (cluster.weights, cluster.zeros) == (plan.summary.pointwise_params, plan.summary.pointwise_zeros)
        assert look.outcome is plan.outcome
    # TFMOT prunes each kernel to the share of its schedule: 102 or 103 of 128 and 409 or 410 of 512 at 80%.
    assert [look.outcome for look in (watch.looks[0], watch.looks[-1])] == [Outcome.DENSE, Outcome.SPARSE]
    assert watch.looks[-1].clusters[0].zeros in range(102 + 409, 103 + 410 + 1)
    assert history["xnnlint_zeros"] == [look.least for look in watch.looks]
    assert history["xnnlint_spmm"][-1] == 2

    rows = list(csv.DictReader((tmp_path / "zeros.csv").open(encoding="utf-8")))
    assert [int(row["zeros"]) for row in rows] == [look.clusters[0].zeros for look in watch.looks]
    assert _scalars(tmp_path / "logs" / "xnnlint", "xnnlint/zeros/cluster_0") == pytest.approx(
        [look.least for look in watch.looks]
    )
    assert said[0].startswith("If 80% of every 1x1 kernel is pruned, 2 of 2 1x1 convolutions go sparse")
    assert said[1].startswith("Epoch 1: dense, 0 SpMM; zeros ") and said[1].endswith("(more than 66.7% needed)")
    assert said[-1] == "The model runs sparse: 2 of its operators run SpMM."


def _scalars(folder: Path, tag: str) -> list[float]:
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    tensors = importlib.import_module("tensorflow").make_ndarray
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [float(tensors(event.tensor_proto)) for event in events.Tensors(tag)]


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_what_stands_in_the_way_is_said_before_the_first_step(package: str) -> None:
    keras = importlib.import_module(package)
    said: list[str] = []
    watch = LintCallback(tell=said.append)
    history = fit(keras, network(keras, padding="same"), [watch], epochs=1)
    assert watch.start is not None and not watch.start.pays
    assert "the model runs dense all the same" in said[0]
    assert any("XNN101" in line and "stem" in line for line in said[1:])
    assert history["xnnlint_spmm"] == [0] and history["xnnlint_zeros"] == [0.0]
    assert said[-2:] != said[:2] and any(line.startswith("The model does not run sparse (dense)") for line in said)


@pytest.mark.tensorflow
def test_without_tensorboard_it_says_so_before_training(monkeypatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    callback = LintCallback(log_dir=tmp_path)
    callback.set_model(str(FIXTURES / "guide_sparse.keras"))
    with pytest.raises(XnnlintError, match="pip install tensorflow tensorboard"):
        callback.on_train_begin()


def test_it_imports_no_framework() -> None:
    code = (
        "import sys; from xnnlint.keras import LintCallback; LintCallback(); "
        "print([name for name in ('tensorflow', 'keras', 'tf_keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "name", ["guide_unpruned.tflite", "guide_sparse.tflite", "guide_wrapped.h5", "guide_sparse.keras"]
)
def test_exported_files_are_watched_alike(name: str) -> None:
    watch = TrainingWatch(FIXTURES / name)
    assert watch.start.pays and watch.start.blockers == []
    look = watch.look(FIXTURES / name)
    summary = look.report.plan.summary
    assert [cluster.layers for cluster in look.clusters] == [("conv2d_1", "conv2d_2")]
    assert (look.clusters[0].weights, look.clusters[0].zeros) == (summary.pointwise_params, summary.pointwise_zeros)
    assert look.outcome is (Outcome.DENSE if "unpruned" in name else Outcome.SPARSE)


def test_a_network_that_cannot_run_sparse_is_watched_as_one_cluster() -> None:
    watch = TrainingWatch(FIXTURES / "guide_sparse.tflite", cpu="x86-avx")
    assert not watch.start.pays
    assert [finding.rule for finding in watch.start.blockers] == ["XNN501"]
    assert watch.start.clusters == (("conv2d_1", "conv2d_2"),)
