"""Models in memory, and functions that make them: read as their files are, without knowing which Keras they are of."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import xnnlint
from tests.models import DATA, FIXTURES
from tests.rounds import every
from xnnlint import loaders
from xnnlint.errors import ModelError, XnnlintError
from xnnlint.keras.description import KerasModel
from xnnlint.linter.findings import ModelReport
from xnnlint.linter.policy_check import check_with_policy
from xnnlint.loaders.keras.read_file import read
from xnnlint.loaders.keras.read_live import load_callable, read_live
from xnnlint.xnnpack.profile import load_profile

CASES = DATA / "keras_read_cases.zip"


class Variable:
    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name = name
        self._values = values

    def numpy(self) -> np.ndarray:
        return self._values


class LiveLayer:
    def __init__(self, name: str, weights: list[Variable]) -> None:
        self.name = name
        self.weights = weights


class LiveModel:
    """What a model of tf_keras looks like from outside: its config, its layers and their variables."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.name = "live"
        with zipfile.ZipFile(path) as archive:
            entry = json.loads(archive.read("config.json"))
        self.entry = {key: entry[key] for key in ("class_name", "config")} | changes
        self._layers = [
            LiveLayer(layer.name, [Variable(f"{layer.name}/{key}:0", value()) for key, value in layer.weights.items()])
            for layer in read(path)[1].layers
        ]

    @property
    def layers(self) -> list[LiveLayer]:
        return self._layers

    @property
    def weights(self) -> list[Variable]:
        raise ValueError("Weights for model 'live' have not yet been created.")

    def get_config(self) -> Any:
        return self.entry["config"]

    def to_json(self) -> str:
        return json.dumps(self.entry)


def same(first: KerasModel, second: KerasModel) -> bool:
    def told(model: KerasModel) -> list[Any]:
        return [
            [
                (layer.name, layer.class_name, layer.calls, layer.opaque, layer.pruning, layer.wrapper)
                for layer in model.all_layers()
            ],
            {
                (layer.path, key): value().tobytes()
                for layer in model.all_layers()
                for key, value in layer.weights.items()
            },
            [model.inputs, model.outputs, model.sequential, model.dialect],
        ]

    return told(first) == told(second)


def test_a_model_in_memory_is_read_as_its_file() -> None:
    path = FIXTURES / "guide_sparse.keras"
    model = read_live(LiveModel(path))
    assert same(model, read(path)[1]) and model.name == "live"
    assert not any(value().flags.writeable for layer in model.layers for value in layer.weights.values())


def test_lint_tells_what_check_tells() -> None:
    path = FIXTURES / "guide_sparse.keras"
    live, file = xnnlint.lint(LiveModel(path)), xnnlint.lint(path)
    assert (live.path, live.format, file.format) == ("live", "live", "keras")
    assert live.plan is not None and file.plan is not None
    assert live.plan.outcome == file.plan.outcome and live.findings == file.findings
    live, file = (xnnlint.lint(model, assume_pruned=0.5) for model in (LiveModel(path), path))
    assert live.findings == file.findings
    assert live.plan is not None and file.plan is not None
    assert live.if_pruned == file.if_pruned and [forecast.share for forecast in live.if_pruned] == [0.5]


@pytest.mark.parametrize("thing", [3, "".join, dict(layers=[]), LiveLayer("it", []), LiveModel])
def test_things_that_are_no_models(thing: Any) -> None:
    with pytest.raises(ModelError, match="is no Keras model"):
        read_live(thing)


def test_a_subclassed_model() -> None:
    with pytest.raises(ModelError, match=r"live: MyModel is a subclassed model.*Functional API"):
        read_live(LiveModel(FIXTURES / "guide_sparse.keras", class_name="MyModel", config={}))


class Mute(LiveModel):
    def to_json(self) -> str:
        raise NotImplementedError("Layer Mine was created by passing\nnon-serializable arguments.")


def test_a_model_that_cannot_tell_its_config() -> None:
    with pytest.raises(ModelError) as caught:
        read_live(Mute(FIXTURES / "guide_sparse.keras"))
    assert "(NotImplementedError: Layer Mine was created by passing non-serializable arguments.)" in str(caught.value)


# --- module:function


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)

    def write(code: str) -> str:
        name = f"models_{abs(hash(code))}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    yield write
    assert sys.path == before


def test_a_function_s_model(module: Callable[[str], str]) -> None:
    code = (
        "from pathlib import Path\nfrom tests.loaders.test_keras_read_live import FIXTURES, LiveModel\n"
        "def make(): return LiveModel(FIXTURES / 'guide_sparse.keras')\nclass Zoo:\n    small = make()\n"
    )
    name = module(code)
    for attribute in ("make", "Zoo.small"):
        model = loaders.load(f"{name}:{attribute}")
        assert (model.path, model.format) == (f"{name}:{attribute}", "live") and model.main.operators
        assert model.notes[0] == f"{name}:{attribute} was imported and run to get this model."
    assert loaders.find_models([f"{name}:make"]) == [f"{name}:make"]


def test_the_policy_of_a_function_s_model(module: Callable[[str], str]) -> None:
    """The function is called once, as it may take long."""
    name = module(
        "from tests.loaders.test_keras_read_live import FIXTURES, LiveModel\ncalls = []\n"
        "def make():\n    calls.append(1)\n    return LiveModel(FIXTURES / 'guide_sparse.keras')\n"
    )
    profile = load_profile()
    report = check_with_policy(f"{name}:make", profile)
    file = check_with_policy(FIXTURES / "guide_sparse.keras", profile)
    assert report.policy is not None and file.policy is not None
    assert (report.error, report.policy.takes, report.findings) == (None, file.policy.takes, file.findings)
    assert report.policy.prunable == file.policy.prunable and len(sys.modules[name].calls) == 1
    assert check_with_policy(f"{name}:absent", profile).error == f"{name}:absent: {name} has no 'absent'"


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("absent", "NAME has no 'absent'"),
        ("fails.absent", "NAME has no 'fails.absent'"),
        ("fails", "calling it failed (ZeroDivisionError: division by zero)"),
        ("needs", "calling it failed (TypeError: needs() missing 1 required positional argument: 'it')"),
        ("leaves", "calling it failed (SystemExit: 3)"),
        ("raises_nothing_to_say", "calling it failed (ValueError)"),
        ("nothing", "it returned None; let it return a Keras model"),
        ("number", "int is no Keras model"),
        ("Kind", "Kind is no Keras model"),
    ],
)
def test_a_function_that_makes_no_model(module: Callable[[str], str], attribute: str, says: str) -> None:
    name = module(
        "import sys\ndef fails(): return 1 / 0\ndef needs(it): return it\ndef nothing(): pass\nnumber = 3\n"
        "class Kind: pass\ndef leaves(): sys.exit(3)\ndef raises_nothing_to_say(): raise ValueError\n"
    )
    with pytest.raises(XnnlintError) as caught:
        loaders.load(f"{name}:{attribute}")
    assert str(caught.value).startswith(f"{name}:{attribute}: {says.replace('NAME', name)}")
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there() -> None:
    for target, missing in (("no_such_module:make", "no_such_module"), ("json.absent:make", "json.absent")):
        with pytest.raises(XnnlintError, match=rf"^{target}: there is no module '{missing}' here or in "):
            loaders.load(target)
    for target in ("module", ":make", "module:"):
        with pytest.raises(XnnlintError, match="is not of the form module:function"):
            load_callable(target)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import absent_too", "(ModuleNotFoundError: No module named 'absent_too')"),
        ("import sys; sys.exit('no licence')", "(SystemExit: no licence)"),
        ("def make(:", "(SyntaxError: "),
    ],
)
def test_a_module_that_cannot_be_imported(module: Callable[[str], str], code: str, says: str) -> None:
    name = module(code)
    with pytest.raises(XnnlintError) as caught:
        loaders.load(f"{name}:make")
    assert str(caught.value).startswith(f"{name}:make: importing {name} failed {says}")


def test_what_the_user_s_code_prints_is_not_in_the_report(
    module: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = module(
        "from tests.loaders.test_keras_read_live import FIXTURES, LiveModel\nprint('imported')\n"
        "def make():\n    print('made')\n    return LiveModel(FIXTURES / 'guide_sparse.keras')\n"
    )
    assert loaders.load(f"{name}:make").format == "live"
    assert capsys.readouterr() == ("", "imported\nmade\n")


def test_a_file_is_never_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json:tool").write_bytes((FIXTURES / "guide_sparse.tflite").read_bytes())
    assert loaders.load("json:tool").format == "tflite"


PATHS = ["C:\\model.tflite", "C:model.h5", "c:model", "C:/model.h5", "folder/json:tool", "json:tool/x", "http://json"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_never_taken_for_a_module(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "xnnlint.loaders.keras.read_live.load_callable", lambda target: pytest.fail(f"{target} was run")
    )
    with pytest.raises(ModelError, match=r"there is no such file|there is no folder|this is an address"):
        loaders.load(path)


def test_files_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only module:function does; not even a folder's file with such a name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spy.py").write_text("raise AssertionError('it was run')")
    (tmp_path / "spy:make.keras").write_bytes((FIXTURES / "guide_sparse.keras").read_bytes())
    assert [loaders.load(path).format for path in loaders.find_models(["."])] == ["keras"]
    with pytest.raises(XnnlintError, match="it was run"):
        loaders.load("spy:make")


# --- the real ones


@pytest.mark.tensorflow
@pytest.mark.parametrize(("package", "prefix"), [("tf_keras", "keras2"), ("keras", "keras3")])
@pytest.mark.parametrize("name", every(2, ["nested.keras", "shared.keras", "sequence.h5", "frozen.h5"]))
def test_real_models_in_memory(tmp_path: Path, package: str, prefix: str, name: str) -> None:
    keras = __import__(package)
    if prefix == "keras3" and not keras.__version__.startswith("3"):
        pytest.skip(f"Keras {keras.__version__}")
    path = tmp_path / f"{prefix}_{name}"
    with zipfile.ZipFile(CASES) as cases:
        path.write_bytes(cases.read(path.name))
    model = keras.models.load_model(path, compile=False)
    assert same(read_live(model), read(path)[1])
    assert told(xnnlint.lint(model)) == told(xnnlint.lint(path))
    pruned = {"assume_pruned": 0.8}
    assert told(xnnlint.lint(model, **pruned)) == told(xnnlint.lint(path, **pruned))


def told(report: ModelReport) -> Any:
    """What a report says, but for where the model was."""
    assert report.plan is not None
    kernels = [kernel.kernel for kernel in report.plan.operators]
    # `xnnlint fix` takes files only, so that findings of a model in memory have another remedy.
    findings = [replace(finding, fix=None, repair=None) for finding in report.findings]
    return report.plan.outcome, kernels, findings, report.plan.model.notes


@pytest.mark.tensorflow
def test_a_model_that_is_being_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    import tensorflow_model_optimization as tfmot
    import tf_keras

    model = tf_keras.models.load_model(FIXTURES / "guide_sparse.h5", compile=False)
    constant = tfmot.sparsity.keras.ConstantSparsity(0.8, 0)
    policy = tfmot.sparsity.keras.PruneForLatencyOnXNNPack()
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, constant, pruning_policy=policy)
    stripped = tfmot.sparsity.keras.strip_pruning(wrapped)
    (finding,) = xnnlint.lint(wrapped).findings
    assert (finding.rule, finding.actual) == ("XNN306", "wrapped: conv2d_1, conv2d_2")
    assert xnnlint.lint(stripped).findings == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_a_custom_layer_in_memory(package: str) -> None:
    keras = __import__(package)

    class Odd(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 1.5

    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, 2)(keras.layers.ZeroPadding2D(1)(image))
    x = keras.layers.Conv2D(16, 1, name="pointwise")(Odd(name="odd")(x))
    model = keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))
    report = xnnlint.lint(model, assume_pruned=0.8)
    assert [f.location.name for f in report.findings if f.rule == "XNN403"][:1] == ["odd"]

    class Net(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ModelError, match="Functional API"):
        xnnlint.lint(Net())
