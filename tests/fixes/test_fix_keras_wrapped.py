"""xnnlint fix takes TFMOT's pruning wrappers off; TFMOT's own strip_pruning is the judge."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xnnlint
from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.cli import app as cli
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.in_memory import fix_model
from xnnlint.fixes.request import FixRequest
from xnnlint.loaders.keras.read_file import read
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

FORMATS = ("keras", "h5")
OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU))
WRAPPED = FIXTURES / "guide_wrapped.h5"


def run(capsys: Any, monkeypatch: Any, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["xnnlint", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    code, (out, error) = end.value.code, capsys.readouterr()
    return code, " ".join(out.split()), " ".join(error.split())


def fixed(path: str) -> str:
    """The model as `xnnlint fix` writes it with its wrappers off, and nothing else changed."""
    done = repair(path, OPTIONS)
    assert {change.fix for change in done.changes} == {"strip-pruning"}
    place = Path(path)
    target = str(place.with_name(f"fixed{place.suffix}"))
    write(done, target)
    return target


# --- without TensorFlow ----------------------------------------------------------------------------------------------


def test_the_layers_keep_their_names_and_weights(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(WRAPPED.read_bytes())
    old, new = read(str(path))[1], read(fixed(str(path)))[1]
    assert [layer.name for layer in new.layers] == [layer.name for layer in old.layers]
    assert sum(bool(layer.wrapper) for layer in old.layers) == 2 and not any(layer.wrapper for layer in new.layers)
    before, after = ([x.weights[key]().tobytes() for x in m.all_layers() for key in x.weights] for m in (old, new))
    assert before == after and len(before) > 10


def test_check_says_what_fix_does_and_then_finds_nothing(tmp_path, capsys, monkeypatch):
    path = tmp_path / "model.h5"
    path.write_bytes(WRAPPED.read_bytes())
    code, out, _ = run(capsys, monkeypatch, "check", str(path))
    assert code == 1 and "XNN306 [*]" in out and "1 error, 1 fixable" in out
    code, out, _ = run(capsys, monkeypatch, "fix", str(path), "--in-place")
    assert code == 0 and "take the pruning wrappers off 2 layers (safe)" in out
    assert Path(f"{path}.bak").read_bytes() == WRAPPED.read_bytes()
    code, out, _ = run(capsys, monkeypatch, "check", str(path))
    assert code == 0 and "No findings" in out


# --- beside strip_pruning --------------------------------------------------------------------------------------------


def functional(keras: Any) -> Any:
    layers = keras.layers
    image = layers.Input((24, 24, 3))
    x = layers.Conv2D(16, 3, padding="same", name="first")(image)
    x = layers.BatchNormalization()(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    for name in ("b", "a", "c"):
        y = layers.Conv2D(16, 1, activation="relu", name=name)(y)
    x = layers.Conv2D(5, 1, name="kept")(layers.Add()([x, y]))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(x))))


def sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Conv2D(8, 3, padding="same", input_shape=(24, 24, 3)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(8, 3, padding="same"),
            layers.Conv2D(16, 1, use_bias=False),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def nested(keras: Any) -> Any:
    layers = keras.layers
    part, image = layers.Input((24, 24, 8)), layers.Input((24, 24, 3))
    inner = keras.Model(part, layers.BatchNormalization()(layers.Conv2D(8, 1, name="a")(part)), name="inner")
    x = inner(layers.Conv2D(8, 3, padding="same", activation="relu")(image))
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(8, 1, name="b")(x))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


@cache
def wrapped(build: Any, names: tuple[str, ...] = (), *, trained: bool = True) -> Any:
    """A model with its layers in wrappers, those of some names or all, and pruned by a short training; not to be
    changed, since several tests have it."""
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    sparsity = tfmot.sparsity.keras

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=clone)
        if (names and layer.name not in names) or isinstance(layer, keras.layers.InputLayer):
            return layer
        schedule = sparsity.ConstantSparsity(0.8, 0, frequency=1)
        return sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

    model = keras.models.clone_model(build(keras), clone_function=clone)
    model.compile("adam", "mse")
    if trained:
        rng = np.random.default_rng(0)
        images, targets = (rng.normal(size=(8, *shape)).astype("float32") for shape in ((24, 24, 3), (3,)))
        model.fit(images, targets, epochs=2, verbose=0, callbacks=[sparsity.UpdatePruningStep()])
    return model


def loaded(path: str) -> Any:
    """A model as its user loads it to strip it."""
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    with tfmot.sparsity.keras.prune_scope():
        return keras.models.load_model(path)


CASES = [
    pytest.param(functional, ("a", "b", "c"), id="functional", marks=pytest.mark.more),
    pytest.param(functional, (), id="everything"),
    pytest.param(sequential, (), id="sequential", marks=pytest.mark.more),
    pytest.param(nested, ("a", "b"), id="nested"),
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", every(2, FORMATS))
@pytest.mark.parametrize(("build", "names"), CASES)
def test_it_is_what_strip_pruning_makes(build, names, suffix, tmp_path):
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    path = str(tmp_path / f"model.{suffix}")
    wrapped(build, names).save(path)
    stripped = tfmot.sparsity.keras.strip_pruning(loaded(path))
    stripped.save(judge := str(tmp_path / f"judge.{suffix}"))
    judged, ours = (keras.models.load_model(p) for p in (judge, fixed(path)))
    assert ours.get_config() == judged.get_config()
    assert [w.tobytes() for w in ours.get_weights()] == [w.tobytes() for w in judged.get_weights()]
    image = np.random.default_rng(2).normal(size=(2, 24, 24, 3)).astype("float32")
    assert np.array_equal(ours(image), judged(image))
    # It can be trained on: the state of the optimizer, which strip_pruning leaves out, is that of the file.
    before = loaded(path)
    assert [v.numpy().tobytes() for v in ours.optimizer.variables] == [
        v.numpy().tobytes() for v in before.optimizer.variables
    ]


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_of_the_wrappers_is_left_among_the_weights(suffix, tmp_path):
    import io
    import zipfile

    import h5py

    path = str(tmp_path / f"model.{suffix}")
    wrapped(functional, ()).save(path)
    found: list[list[str]] = []
    for name in (path, fixed(path)):
        data = Path(name).read_bytes()
        if suffix == "keras":
            data = zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5")
        found.append([])
        with h5py.File(io.BytesIO(data)) as file:
            file["layers" if suffix == "keras" else "model_weights"].visit(found[-1].append)
            listed = [] if suffix == "keras" else list(file["model_weights"].attrs["layer_names"])
        assert any("prune_low" in str(item) for item in listed) == (name == path and suffix == "h5")
    assert any("prune_low" in item for item in found[0])
    assert found[1] and not any("prune_low" in item or "mask" in item or "threshold" in item for item in found[1])


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("suffix", FORMATS)
def test_it_runs_sparse_in_litert(suffix, tmp_path, capsys, monkeypatch):
    path, target = str(tmp_path / f"model.{suffix}"), str(tmp_path / f"fixed.{suffix}")
    loaded(str(WRAPPED)).save(path)
    code, out, error = run(capsys, monkeypatch, "fix", path, "-o", target, "--prove")
    assert code == 0 and "it runs sparse in LiteRT" in out and "2 SpMM operators, as forecast" in out, error
    assert xnnlint.lint(target).findings == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", every(2, FORMATS))
def test_weights_that_are_not_masked_yet_stay_and_what_is_advised_helps(suffix, tmp_path, capsys, monkeypatch):
    path, target = str(tmp_path / f"model.{suffix}"), str(tmp_path / f"fixed.{suffix}")
    model = loaded(str(WRAPPED))
    image = np.random.default_rng(2).normal(size=(1, *model.inputs[0].shape[1:])).astype("float32")
    ((kernel, mask, _),) = model.get_layer("prune_low_magnitude_conv2d_1").pruning_vars
    mask.assign((np.asarray(kernel) != 0).astype("float32"))
    kernel.assign(kernel + 0.25)
    model.save(path)
    code, out, _ = run(capsys, monkeypatch, "fix", path, "-o", target)
    assert code == 1 and "remains XNN306" in out
    assert "'conv2d_1' has weights that its mask has not made zero yet: load the model, run it once" in out
    code, out, _ = run(capsys, monkeypatch, "check", path)
    assert code == 1 and "XNN306 [*]" not in out and "XNN306" in out
    converted = tmp_path / "model.tflite"
    assert run(capsys, monkeypatch, "convert", path, "-o", str(converted))[0] == 0
    # What is masked counts as zero in the forecast, and is zero in the file.
    forecast, seen = xnnlint.lint(path).summary, xnnlint.lint(converted).summary
    assert (seen.spmm, seen.pointwise_zeros) == (forecast.spmm, forecast.pointwise_zeros) and seen.spmm == 2
    model = loaded(path)
    model(image)
    model.save(path)
    assert not any(layer.wrapper for layer in read(fixed(path))[1].layers)


@pytest.mark.tensorflow
def test_a_model_that_is_still_to_be_pruned_keeps_its_wrappers(tmp_path, capsys, monkeypatch):
    path = str(tmp_path / "model.keras")
    wrapped(functional, ("a", "b", "c"), trained=False).save(path)
    done = repair(path, OPTIONS)
    assert done.changes == () and any(layer.wrapper for layer in done.after.keras.layers)
    ((place, reason),) = done.refused
    assert (place, reason.split(" of ")[0]) == ("prune_low_magnitude_b", "too few")
    code, out, _ = run(capsys, monkeypatch, "check", path)
    assert code == 1 and "XNN306" in out and "XNN306 [*]" not in out


@pytest.mark.tensorflow
def test_a_model_in_memory_comes_back_without_wrappers():
    import tensorflow_model_optimization as tfmot

    model = wrapped(functional, ("a", "b", "c"))
    ours, done = fix_model(model)
    judged = tfmot.sparsity.keras.strip_pruning(model)
    assert [change.fix for change in done.changes] == ["strip-pruning"] and done.after.plan.outcome is not Outcome.FAILS
    assert [layer.name for layer in ours.layers] == [layer.name for layer in judged.layers]
    assert [w.tobytes() for w in ours.get_weights()] == [w.tobytes() for w in judged.get_weights()]
    assert [layer.name for layer in model.layers if "prune" in layer.name]
