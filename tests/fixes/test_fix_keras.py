"""xnnlint fix: what it changes in a config, what it proves, and that it touches nothing else."""

from __future__ import annotations

import copy
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.models import FIXTURES
from xnnlint import atomic
from xnnlint.cli import app as cli
from xnnlint.errors import ModelError
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_scope import scopes
from xnnlint.fixes.keras.config_search import repair
from xnnlint.fixes.keras.config_writer import write as write_fixed
from xnnlint.fixes.keras.hdf5_text import replace_text
from xnnlint.fixes.keras.layer_code import code
from xnnlint.fixes.keras.layer_order import keras_order, misplaced
from xnnlint.fixes.request import FixRequest
from xnnlint.keras.description import Call, KerasModel, Layer, TensorRef
from xnnlint.keras.policy.verdicts import judge
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_file import read
from xnnlint.loaders.keras.read_hdf5 import File
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

FORMATS = ("keras", "h5")


def options(*, unsafe: bool = False) -> FixRequest:
    return FixRequest(load_profile(DEFAULT_RUNTIME, DEFAULT_CPU), unsafe)


def broken(tmp_path: Path, suffix: str, **changes: dict) -> str:
    """The guide's model with other configs for some layers, by class name; "pad" takes the stem's padding out."""
    archive = Archive(str(FIXTURES / f"guide_sparse.{suffix}"))
    document = copy.deepcopy(archive.document)
    (scope,) = scopes(document)
    stem = next(e for e in scope.layers if e["class_name"] == "Conv2D")
    for class_name, config in changes.items():
        if class_name == "stem":
            pad = scope.sources(stem)[0]
            assert pad["class_name"] == "ZeroPadding2D"
            pad["config"]["padding"] = config["pad"]
        else:
            next(e for e in scope.layers if e["class_name"] == class_name)["config"] |= config
    path = str(tmp_path / f"model.{suffix}")
    archive.write(document, path)
    return path


def layer(path: str, class_name: str) -> dict:
    (scope,) = scopes(Archive(path).document)
    return next(e for e in scope.layers if e["class_name"] == class_name)["config"]


def run(capsys, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["xnnlint", "fix", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_pooling_gets_keepdims_and_the_flatten_behind_it_stays(tmp_path, suffix):
    path = broken(tmp_path, suffix, GlobalAveragePooling2D={"keepdims": False})
    done = repair(path, options())
    assert [c.text for c in done.changes] == ["set keepdims=True"]
    assert done.exit_code == 0 and done.after.plan.outcome is Outcome.SPARSE
    target = str(tmp_path / f"fixed.{suffix}")
    write_fixed(done, target)
    assert layer(target, "GlobalAveragePooling2D")["keepdims"] is True
    assert layer(path, "GlobalAveragePooling2D")["keepdims"] is False
    # What was broken by hand is whole again.
    original = Archive(str(FIXTURES / f"guide_sparse.{suffix}")).document
    assert [e["class_name"] for e in Archive(target).document["config"]["layers"]] == [
        e["class_name"] for e in original["config"]["layers"]
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_stem_padded_right_and_below_needs_an_unsafe_fix(tmp_path, suffix):
    path = broken(tmp_path, suffix, stem={"pad": [[0, 1], [0, 1]]})
    kept = repair(path, options())
    assert kept.changes == () and kept.exit_code == 1
    assert [f.rule for f in kept.remaining] == ["XNN101"]
    done = repair(path, options(unsafe=True))
    (change,) = done.changes
    assert change.applicability.value == "unsafe" and "one pixel" in change.effect
    assert change.after[0].startswith("ZeroPadding2D(1, ")
    assert (done.before.plan.outcome, done.after.plan.outcome) == (Outcome.DENSE, Outcome.SPARSE)
    assert len(done.after.plan.spmm_ops) == 2 and done.exit_code == 0


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_weight_keeps_its_bits_and_its_layer(tmp_path, suffix):
    path = broken(tmp_path, suffix, GlobalAveragePooling2D={"keepdims": False}, stem={"pad": [[0, 1], [0, 1]]})
    target = str(tmp_path / f"fixed.{suffix}")
    write_fixed(repair(path, options(unsafe=True)), target)
    weights = [
        {(x.name, k): v().tobytes() for x in read(p)[1].all_layers() for k, v in x.weights.items()}
        for p in (path, target)
    ]
    assert len(weights[0]) > 10 and weights[0] == weights[1]


def test_every_other_member_of_an_archive_keeps_its_bytes(tmp_path):
    path = broken(tmp_path, "keras", GlobalAveragePooling2D={"keepdims": False})
    target = str(tmp_path / "fixed.keras")
    write_fixed(repair(path, options()), target)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target) as new:
        assert old.namelist() == new.namelist()
        for name in old.namelist():
            assert (old.read(name) == new.read(name)) is (name != "config.json")


def test_an_h5_file_is_changed_in_24_bytes_and_grows():
    data = (FIXTURES / "guide_sparse.h5").read_bytes()
    tail, patches = replace_text(data, "model_config", "x" * 5000)
    assert sum(len(b) for _, b in patches) == 24
    changed = bytearray(data + tail)
    for place, new in patches:
        changed[place : place + len(new)] = new
    root = File(memoryview(bytes(changed))).root
    assert root.attributes["model_config"] == "x" * 5000
    assert root.attributes["keras_version"] == File(memoryview(data)).root.attributes["keras_version"]


@pytest.mark.tensorflow
def test_h5py_reads_what_was_written(tmp_path):
    import h5py

    path = broken(tmp_path, "h5", GlobalAveragePooling2D={"keepdims": False})
    with h5py.File(path) as changed, h5py.File(FIXTURES / "guide_sparse.h5") as old:
        assert '"keepdims": false' in changed.attrs["model_config"]
        names: list[str] = []
        old.visit(names.append)
        sets = [n for n in names if isinstance(old[n], h5py.Dataset)]
        assert sets and all((old[n][()] == changed[n][()]).all() for n in sets)


def test_an_attribute_that_is_not_there_is_refused():
    with pytest.raises(Unreadable, match="no attribute"):
        replace_text((FIXTURES / "guide_sparse.h5").read_bytes(), "nothing", "")


@pytest.mark.tensorflow
@pytest.mark.parametrize("suffix", FORMATS)
def test_tf_keras_gives_the_same_outputs_after_safe_fixes(tmp_path, suffix):
    import numpy as np
    import tf_keras as keras

    path = broken(tmp_path, suffix, GlobalAveragePooling2D={"keepdims": False})
    target = str(tmp_path / f"fixed.{suffix}")
    write_fixed(repair(path, options()), target)
    old, new = (keras.models.load_model(p, compile=False) for p in (path, target))
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    assert new.get_layer(layer(target, "GlobalAveragePooling2D")["name"]).keepdims is True
    assert np.array_equal(old(image), new(image))


# --- weights by the order of layers ----------------------------------------------------------------------------------


def branches(*, flattened: bool) -> KerasModel:
    """Two branches of two Dense layers each, the second with a layer more where `flattened`."""
    names = ["a1", "a2", "b1", "b2"]
    layers = {n: Layer(n, "Dense", weights={"kernel": lambda: None}) for n in names}  # type: ignore[dict-item]
    layers["x"] = Layer("x", "InputLayer")
    layers["sum"] = Layer("sum", "Add", calls=[Call(([TensorRef("a2"), TensorRef("b2")],))])
    for name, source in (("a1", "x"), ("a2", "a1"), ("b1", "x"), ("b2", "b1")):
        layers[name].calls = [Call((TensorRef(source),))]
    if flattened:
        layers["f"] = Layer("f", "Flatten", calls=[Call((TensorRef("b1"),))])
        layers["b2"].calls = [Call((TensorRef("f"),))]
    return KerasModel("m", "keras2", list(layers.values()), [TensorRef("x")], [TensorRef("sum")])


def test_layers_are_ordered_by_their_distance_from_the_output():
    assert [x.name for x in keras_order(branches(flattened=False))] == ["x", "a1", "b1", "a2", "b2", "sum"]
    assert [x.name for x in keras_order(branches(flattened=True))] == ["x", "b1", "a1", "f", "a2", "b2", "sum"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_change_that_makes_layers_trade_weights_is_noticed(suffix):
    assert misplaced(branches(flattened=False), branches(flattened=False), suffix) == ""
    assert misplaced(branches(flattened=False), branches(flattened=True), suffix) == "a1"


# --- the command -----------------------------------------------------------------------------------------------------


def test_in_place_keeps_a_copy(tmp_path, capsys, monkeypatch):
    path = broken(tmp_path, "keras", GlobalAveragePooling2D={"keepdims": False})
    was = Path(path).read_bytes()
    exit_code, out, _ = run(capsys, monkeypatch, path, "--in-place")
    assert exit_code == 0 and f"written {path}" in " ".join(out.split())
    assert Path(f"{path}.bak").read_bytes() == was
    assert layer(path, "GlobalAveragePooling2D")["keepdims"] is True
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.keras", "model.keras.bak"]


def test_diff_shows_the_code_and_writes_nothing(tmp_path, capsys, monkeypatch):
    path = broken(tmp_path, "h5", GlobalAveragePooling2D={"keepdims": False})
    was = Path(path).read_bytes()
    exit_code, out, _ = run(capsys, monkeypatch, path, "--diff")
    name = layer(path, "GlobalAveragePooling2D")["name"]
    assert exit_code == 0 and f'+ GlobalAveragePooling2D(name="{name}", keepdims=True)' in out
    assert Path(path).read_bytes() == was and [p.name for p in tmp_path.iterdir()] == ["model.h5"]


def test_json_says_the_same(tmp_path, capsys, monkeypatch):
    path = broken(tmp_path, "keras", stem={"pad": [[0, 1], [0, 1]]})
    exit_code, out, _ = run(capsys, monkeypatch, path, "--diff", "--format", "json")
    (data,) = json.loads(out)["models"]
    assert exit_code == data["exit_code"] == 1
    assert [r["rule"] for r in data["remaining"]] == ["XNN101"] and data["changes"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say where to write"),
        (["--in-place", "--diff"], "say where to write"),
        (["-o", "model.keras"], "is the model itself"),
        (["-o", "other.h5"], "the format stays"),
        (["--diff", "--assume-pruned", "2"], "a share from 0 to 1"),
    ],
)
def test_unclear_calls_are_refused(arguments, sentence, tmp_path, capsys, monkeypatch):
    shutil.copy(FIXTURES / "guide_sparse.keras", tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    exit_code, _, error = run(capsys, monkeypatch, "model.keras", *arguments)
    assert exit_code == 2 and sentence in error
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


def test_a_failed_write_leaves_the_target_as_it_was(tmp_path, capsys, monkeypatch):
    path = broken(tmp_path, "keras", GlobalAveragePooling2D={"keepdims": False})
    target = tmp_path / "out.keras"
    target.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    exit_code, _, error = run(capsys, monkeypatch, path, "-o", str(target))
    assert exit_code == 2 and "No space left" in error
    assert target.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.keras", "out.keras"]


def test_only_files_of_keras_are_archives():
    with pytest.raises(ModelError, match=r"only \.tflite, \.keras and \.h5"):
        Archive(str(FIXTURES / "guide_sparse.tflite"))


# --- the goal --------------------------------------------------------------------------------------------------------


def with_activation(tmp_path: Path, suffix: str, activation: str) -> str:
    """The guide's model with an Activation in the place of its first ReLU."""
    archive = Archive(str(FIXTURES / f"guide_sparse.{suffix}"))
    document = copy.deepcopy(archive.document)
    (scope,) = scopes(document)
    relu = next(e for e in scope.layers if e["class_name"] == "ReLU")
    relu |= {"class_name": "Activation", "config": {"name": relu["config"]["name"], "activation": activation}}
    path = str(tmp_path / f"model.{suffix}")
    archive.write(document, path)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_goal_policy_makes_a_model_that_the_policy_takes(tmp_path, suffix):
    path = with_activation(tmp_path, suffix, "swish")
    assert not judge(read(path)[1]).takes
    # The runtime runs swish in a sparse cluster.
    assert repair(path, options(unsafe=True)).changes == ()
    kept = repair(path, replace(options(), policy=True))
    assert kept.changes == () and [f.rule for f in kept.remaining] == ["XNP103"] and kept.exit_code == 1
    done = repair(path, replace(options(unsafe=True), policy=True))
    assert [(c.fix, c.applicability.value) for c in done.changes] == [("activation-on-policy-list", "unsafe")]
    target = str(tmp_path / f"fixed.{suffix}")
    write_fixed(done, target)
    assert judge(read(target)[1]).takes and done.exit_code == 0


def test_what_the_policy_refuses_and_no_fix_changes_is_said(tmp_path, capsys, monkeypatch):
    path = with_activation(tmp_path, "keras", "exponential")
    archive = Archive(path)
    document = copy.deepcopy(archive.document)
    (scope,) = scopes(document)
    last = [e for e in scope.layers if e["class_name"] == "ReLU"][-1]
    pooling = {"name": "pool", "pool_size": [3, 3], "strides": [1, 1], "padding": "same"}
    last |= {"class_name": "MaxPooling2D", "config": pooling}
    archive.write(document, str(tmp_path / "both.keras"))
    exit_code, out, _ = run(
        capsys, monkeypatch, str(tmp_path / "both.keras"), "--diff", "--unsafe-fixes", "--goal", "policy"
    )
    assert exit_code == 1 and "remains XNP103 at pool" in out


def test_code_leaves_out_what_is_the_default():
    config = {"name": "c", "filters": 8, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "use_bias": True}
    assert code({"class_name": "Conv2D", "config": config}) == 'Conv2D(8, 3, name="c", strides=2, padding="same")'
    pad = {"class_name": "ZeroPadding2D", "config": {"name": "p", "padding": [[0, 1], [0, 1]]}}
    assert code(pad) == 'ZeroPadding2D(((0, 1), (0, 1)), name="p")'


def test_an_average_pooling_of_the_whole_map_becomes_a_global_one(tmp_path):
    archive = Archive(str(FIXTURES / "guide_sparse.h5"))
    document = copy.deepcopy(archive.document)
    (scope,) = scopes(document)
    pool = next(e for e in scope.layers if e["class_name"] == "GlobalAveragePooling2D")
    for size, outcome in ((8, Outcome.SPARSE), (4, Outcome.DENSE)):
        config = {"pool_size": [size, size], "strides": [8, 8], "padding": "valid", "data_format": "channels_last"}
        pool |= {"class_name": "AveragePooling2D", "config": {"name": pool["config"]["name"], **config}}
        path = str(tmp_path / f"model_{size}.h5")
        archive.write(document, path)
        done = repair(path, options())
        assert (done.before.plan.outcome, done.after.plan.outcome) == (Outcome.DENSE, outcome)
        assert [c.fix for c in done.changes] == ["average-pooling-of-the-whole-map"] * (size == 8)
