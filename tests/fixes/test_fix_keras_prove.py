"""xnnlint fix --prove: the changed model is loaded, compared, converted and run before it is written."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.models import FIXTURES
from xnnlint.cli import app as cli
from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras import conversion_proof as proving
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write
from xnnlint.fixes.keras.conversion_proof import NotProved, prove
from xnnlint.fixes.request import FixRequest
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

OPTIONS = FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), unsafe=True)


def saved(folder: Path, package: str, suffix: str = "keras") -> str:
    """A small network, with a stem and a pooling that the sparse path does not take."""
    keras = importlib.import_module(package)
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((24, 24, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="stem"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(16, 1, activation="relu"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(5),
        ]
    )
    path = str(folder / f"model.{suffix}")
    model.save(path)
    return path


def run(capsys: Any, monkeypatch: Any, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["xnnlint", "fix", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize(("package", "suffix"), [("tf_keras", "keras"), ("tf_keras", "h5"), ("keras", "keras")])
def test_a_proof_compares_outputs_and_runs_the_result(tmp_path, package, suffix, capsys, monkeypatch):
    path, target = saved(tmp_path, package, suffix), str(tmp_path / f"fixed.{suffix}")
    exit_code, out, _ = run(capsys, monkeypatch, path, "-o", target, "--unsafe-fixes", "--prove", "--format", "json")
    (data,) = json.loads(out)["models"]
    assert exit_code == 0 and data["written"] == target
    told = " ".join(data["proof"]["facts"])
    assert "all 8 weights have the same bits" in told
    assert "the safe change leaves the same outputs on 3 random inputs" in told
    assert "it runs sparse in LiteRT" in told and "1 SpMM operators, as forecast" in told
    # What is said to be the same is; what is said to differ does.
    keras = importlib.import_module(package)
    old, new = (keras.models.load_model(p, compile=False) for p in (path, target))
    image = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype("float32")
    assert np.shape(old(image)) == np.shape(new(image)) and not np.allclose(old(image), new(image), rtol=1e-4)


@pytest.mark.tensorflow
@pytest.mark.judge
def test_nothing_is_written_when_safe_changes_change_outputs(tmp_path, capsys, monkeypatch):
    path, target = saved(tmp_path, "tf_keras"), tmp_path / "fixed.keras"
    load, seen = proving.load, []

    def wrong(name: str) -> Any:
        model = load(name)
        seen.append(name)
        if name != path:
            # The same weights; another function.
            model.get_layer("pool").call = lambda x: x[:, :1, :1]
        return model

    monkeypatch.setattr(proving, "load", wrong)
    exit_code, _, error = run(capsys, monkeypatch, path, "-o", str(target), "--prove")
    assert exit_code == 2 and "not written: output 0 differs by" in error and len(seen) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.tensorflow
@pytest.mark.judge
def test_a_forecast_that_does_not_come_true_is_no_proof(tmp_path, monkeypatch):
    path = saved(tmp_path, "tf_keras")
    done = repair(path, OPTIONS)
    write(done, str(tmp_path / "fixed.keras"))
    # Nothing is pruned, and the forecast is for a model that is.
    monkeypatch.setattr(proving, "prune", lambda model, share: None)
    with pytest.raises(NotProved, match="once converted it is dense, and sparse was forecast"):
        prove(done, OPTIONS, str(tmp_path / "fixed.keras"))


@pytest.mark.tensorflow
@pytest.mark.judge
def test_a_weight_that_changed_is_no_proof(tmp_path):
    import tf_keras as keras

    path, target = saved(tmp_path, "tf_keras"), str(tmp_path / "fixed.keras")
    done = repair(path, OPTIONS)
    write(done, target)
    model = keras.models.load_model(target)
    model.get_layer("stem").bias.assign_add(np.full(8, 1e-7, "float32"))
    model.save(target)
    with pytest.raises(NotProved, match="the weight stem/1 is not the same"):
        prove(done, OPTIONS, target)


def test_without_tensorflow_nothing_is_written_and_what_to_install_is_said(tmp_path, capsys, monkeypatch):
    source = FIXTURES / "guide_sparse.keras"
    import copy

    from xnnlint.fixes.keras.archive import Archive
    from xnnlint.fixes.keras.config_scope import scopes

    archive = Archive(str(source))
    document = copy.deepcopy(archive.document)
    (scope,) = scopes(document)
    next(e for e in scope.layers if e["class_name"] == "GlobalAveragePooling2D")["config"]["keepdims"] = False
    path, target = str(tmp_path / "model.keras"), tmp_path / "fixed.keras"
    archive.write(document, path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(proving, "choose", lambda: None)
    exit_code, _, error = run(capsys, monkeypatch, path, "-o", str(target), "--prove")
    assert exit_code == 2 and "needs TensorFlow" in error and "pip install 'xnnlint[tf]'" in error
    assert not target.exists()


@pytest.mark.tensorflow
def test_an_error_of_the_runtime_is_passed_on(tmp_path, monkeypatch):
    def missing() -> None:
        raise XnnlintError("the real runtime is not here")

    monkeypatch.setattr(proving, "choose", missing)
    with pytest.raises(XnnlintError, match="not here"):
        prove(None, OPTIONS, "")  # type: ignore[arg-type]


@pytest.mark.tensorflow
def test_the_real_policy_takes_what_was_fixed_for_it(tmp_path):
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    layers = keras.layers
    image = layers.Input((24, 24, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = layers.Activation("swish")(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Conv2D(16, 1)(layers.MaxPooling2D(2)(x))
    gate = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(16, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.UpSampling2D(2)(layers.Multiply()([x, gate]))
    x = layers.GlobalAveragePooling2D()(layers.Activation("tanh")(layers.Conv2D(16, 1)(x)))
    path, target = str(tmp_path / "model.keras"), str(tmp_path / "fixed.keras")
    keras.Model(image, layers.Dense(5)(x)).save(path)

    def prune(name: str) -> Any:
        sparsity = tfmot.sparsity.keras
        policy = sparsity.PruneForLatencyOnXNNPack()
        return sparsity.prune_low_magnitude(keras.models.load_model(name, compile=False), pruning_policy=policy)

    with pytest.raises(ValueError, match="Could not find"):
        prune(path)
    done = repair(path, replace(OPTIONS, policy=True))
    write(done, target)
    assert done.exit_code == 0 and done.after.plan.outcome.value == "sparse"
    wrapped = [layer for layer in prune(target).layers if type(layer).__name__ == "PruneLowMagnitude"]
    assert len(wrapped) == 4


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ((), "a proof needs TensorFlow and LiteRT: pip install 'xnnlint[tf,verify]'"),
        (("tensorflow",), "a proof needs LiteRT: pip install 'xnnlint[verify]'"),
    ],
)
def test_all_extras_that_a_proof_lacks_are_named_at_once(there, told, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(proving.importlib.util, "find_spec", lambda name: name if name in there else None)
    model = str(FIXTURES / "guide_no_keepdims.keras")
    code, _, err = run(capsys, monkeypatch, model, "-o", str(tmp_path / "fixed.keras"), "--prove")
    assert code == 2 and err.endswith(f"{told}\n")
    assert not list(tmp_path.iterdir())
