"""Layers of unknown effect: named, never guessed at, and what depends on them is no error."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import xnnlint
from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.errors import XnnlintError
from xnnlint.keras.lower.to_graph import lower
from xnnlint.linter.exit_codes import exit_code, is_sparse
from xnnlint.linter.findings import ModelReport, Severity
from xnnlint.loaders.keras.read_file import read
from xnnlint.reporters.formats.json_report import document
from xnnlint.reporters.json_document import published_schema
from xnnlint.reporters.model_page import model_lines
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

DROPBLOCK = FIXTURES / "cases" / "tfk_custom_dropblock.keras"
Change = Callable[[dict[str, Any]], None]


def guide(folder: Path, *changes: tuple[str, Change]) -> ModelReport:
    """The report on the guide's architecture, to be pruned to 80%, with the configs of some layers changed."""
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as archive:
        config = json.loads(archive.read("config.json"))
    by_name = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    for layer, change in changes:
        change(by_name[layer])
    path = folder / "guide.json"
    path.write_text(json.dumps(config))
    return xnnlint.lint(path, assume_pruned=0.8)


def lines_of(report: ModelReport) -> list[str]:
    return ["".join(span.text for span in line) for line in model_lines(report, load_profile(), 200)]


def custom(layer: dict[str, Any]) -> None:
    layer.update(class_name="Swish", registered_name="mine>Swish", module="mine")
    layer["config"] = {"name": layer["config"]["name"], "dtype": "float32"}


def coded(layer: dict[str, Any]) -> None:
    layer.update(class_name="Lambda", registered_name=None, module="keras.layers")
    layer["config"] = {"name": layer["config"]["name"], "dtype": "float32", "function": ["4wEAAAAA", None, None]}


def without_lowering(layer: dict[str, Any]) -> None:
    """A layer of Keras's own that is not known here: nobody takes that for one that keeps its input."""
    layer.update(class_name="Hashing", registered_name=None, module="keras.layers")
    layer["config"] = {"name": layer["config"]["name"], "dtype": "float32"}


def wide(layer: dict[str, Any]) -> None:
    layer["config"]["padding"] = "same"


@pytest.mark.parametrize(("change", "why"), [(custom, "custom layer Swish"), (coded, "Lambda")])
def test_such_a_layer_is_named_and_not_called_refused(tmp_path: Path, change: Change, why: str) -> None:
    report = guide(tmp_path, ("re_lu_2", change))
    named = [f for f in report.findings if f.rule == "XNN403"]
    assert named[0].location.name == "re_lu_2" and why in named[0].actual
    assert {f.severity for f in named} == {Severity.WARNING}
    assert not any(f.rule == "XNN401" and f.location.name == "re_lu_2" for f in report.findings)


def test_what_it_could_change_is_no_error(tmp_path: Path) -> None:
    """Behind the last convolution of the guide's model it hides the pooling, without which there is no cluster."""
    report = guide(tmp_path, ("re_lu_4", without_lowering))
    assert report.plan is not None and report.plan.outcome is Outcome.DENSE
    ends = [f for f in report.findings if f.rule == "XNN202"]
    assert ends and all("unless a layer of unknown effect" in f.message for f in ends)
    assert report.worst is Severity.WARNING


def test_conditions_in_front_of_it_stay_errors(tmp_path: Path) -> None:
    report = guide(tmp_path, ("conv2d", wide), ("re_lu_4", without_lowering))
    errors = {f.location.name: f for f in report.findings if f.severity is Severity.ERROR}
    assert errors["conv2d"].rule == "XNN101" and not any("unless" in f.message for f in errors.values())


def test_the_reports_say_so(tmp_path: Path) -> None:
    profile = load_profile()
    unsure, sure = guide(tmp_path, ("re_lu_4", custom)), guide(tmp_path)
    for report, confidence in ((unsure, "low"), (sure, None)):
        told = document(profile, [report])
        jsonschema.validate(told, published_schema("report"))
        assert told["models"][0].get("confidence") == confidence
        text = "\n".join("".join(span.text for span in line) for line in model_lines(report, profile, 200))
        assert ("Low confidence: what becomes of" in text) == (confidence == "low")
        assert ("Outputs are correct" in text) == (confidence is None)


def test_the_verdict_is_unknown_and_what_it_would_be(tmp_path: Path) -> None:
    """The layer of the case gives out what it gets: two SpMM were seen of what the converter made of it."""
    report = xnnlint.lint(DROPBLOCK)
    assert report.outcome is None and report.plan is not None
    assert (report.plan.outcome, len(report.plan.spmm_ops)) == (Outcome.SPARSE, 2)
    assert report.plan.model.kept == ("drop_block2d",)
    assert report.worst is Severity.WARNING and not is_sparse(report)
    (line,) = [text for text in lines_of(report) if text.startswith(str(DROPBLOCK))]
    assert "unknown: sparse, 2 of 2, if drop_block2d keeps its input as it is" in line
    told = document(load_profile(), [report])["models"][0]
    assert told["outcome"] is None and told["confidence"] == "low"
    assert told["assumed"] == {"outcome": "sparse", "keep_their_inputs": ["drop_block2d"], "left_to_tflite": []}


def test_what_is_left_to_tflite_is_said_too(tmp_path: Path) -> None:
    report = guide(tmp_path, ("re_lu_2", custom), ("re_lu_4", without_lowering))
    text = " ".join(lines_of(report))
    assert "if re_lu_2 keeps its input as it is and XNNPACK takes no part of re_lu_4" in text


def test_unknown_is_not_sparse_where_sparse_is_demanded() -> None:
    report = xnnlint.lint(DROPBLOCK, require_sparse=True)
    assert [f.rule for f in report.findings if f.severity is Severity.ERROR] == ["XNN403"]
    assert exit_code(report, Severity.ERROR, require_sparse=True) == 1
    assert exit_code(xnnlint.lint(DROPBLOCK), Severity.ERROR) == 0


def test_a_layer_that_cannot_keep_its_input_is_not_taken_so() -> None:
    """The weights behind it are of other channels, so that it must change their number."""
    model = read(str(DROPBLOCK))[1]
    (reader,) = [layer for layer in model.layers for ref in layer.calls[0:1] if "drop_block2d" in str(ref)]
    assert reader.class_name == "DepthwiseConv2D"
    assert lower(model, path="", format="keras").kept == ("drop_block2d",)
    reader.weights["depthwise_kernel"] = lambda: np.zeros((3, 3, 7, 1), np.float32)
    lowered = lower(model, path="", format="keras")
    assert lowered.kept == () and set(lowered.unknown) >= {"drop_block2d"}


@pytest.mark.tensorflow
def test_both_formats_agree(tmp_path: Path) -> None:
    import tf_keras as keras

    @keras.utils.register_keras_serializable("mine")
    class Odd(keras.layers.Layer):
        pass

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.ZeroPadding2D()(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.Conv2D(16, 1)(Odd()(x))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))
    found = []
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        report = xnnlint.lint(tmp_path / name, assume_pruned=0.8)
        told = document(load_profile(), [report])["models"][0]
        found.append([told[key] for key in ("outcome", "assumed", "kernels", "summary")])
        found[-1].append([(f.rule, f.severity, f.location.name) for f in report.findings])
    assert found[0] == found[1]
    assert found[0][1] == {"outcome": "sparse", "keep_their_inputs": ["odd"], "left_to_tflite": []}


# --- what is declared ------------------------------------------------------------------------------------------------


def test_a_declared_layer_is_known() -> None:
    report = xnnlint.lint(DROPBLOCK, layers={"DropBlock2D": "identity"})
    assert (report.outcome, report.plan.model.unknown) == (Outcome.SPARSE, {})
    assert report.plan.model.notes == ["DropBlock2D (1 layer) is taken for identity, as declared under `layers`."]
    elementwise = xnnlint.lint(DROPBLOCK, layers={"drop_block2d": "elementwise"})
    assert elementwise.outcome is Outcome.SPARSE
    assert [op.type for op in elementwise.plan.graph.operators].count("ABS") == 1


def test_code_gives_the_layers_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_ins.py").write_text(
        "def block(config):\n"
        "    assert config['name'] == 'drop_block2d'\n"
        "    pool = {'class_name': 'MaxPooling2D', 'config': {'pool_size': 2}}\n"
        "    return [{'class_name': 'ReLU', 'config': {}}, pool]\n"
        "def nothing(config):\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    report = xnnlint.lint(DROPBLOCK, layers={"DropBlock2D": "stand_ins:block"})
    assert "MAX_POOL_2D" in [op.type for op in report.plan.graph.operators]
    with pytest.raises(XnnlintError, match="where layers are wanted"):
        xnnlint.lint(DROPBLOCK, layers={"DropBlock2D": "stand_ins:nothing"})
    with pytest.raises(XnnlintError, match="no module 'missing'"):
        xnnlint.lint(DROPBLOCK, layers={"DropBlock2D": "missing:block"})


def test_the_configuration_declares_layers(tmp_path, capsys, monkeypatch) -> None:
    shutil.copy(DROPBLOCK, tmp_path / "model.keras")
    (tmp_path / "xnnlint.toml").write_text('[layers]\nDropBlock2D = "identity"\n')
    code, out, _ = run(capsys, monkeypatch, "check", str(tmp_path / "model.keras"), "--require-sparse")
    assert code == 0 and "sparse: 2 of 2" in out
    (tmp_path / "xnnlint.toml").write_text('[layers]\nDropBlock2D = "same"\n')
    code, _, error = run(capsys, monkeypatch, "check", str(tmp_path / "model.keras"))
    assert code == 2 and "none of identity, elementwise and module:function" in error


def test_code_runs_only_where_the_configuration_is_that_of_the_run(tmp_path, capsys, monkeypatch) -> None:
    inner = tmp_path / "downloaded"
    inner.mkdir()
    shutil.copy(DROPBLOCK, inner / "model.keras")
    (inner / "xnnlint.toml").write_text('[layers]\nDropBlock2D = "harm:run"\n')
    (inner / "harm.py").write_text("import pathlib\npathlib.Path('ran').touch()\ndef run(config):\n    return []\n")
    monkeypatch.chdir(tmp_path)
    for command in (("check", "downloaded"), ("fix", "--diff", "downloaded/model.keras")):
        code, _, error = run(capsys, monkeypatch, *command)
        assert code == 2 and "would run code" in error and not (tmp_path / "ran").exists()
    monkeypatch.chdir(inner)
    code, _, error = run(capsys, monkeypatch, "check", "model.keras")
    assert code == 2 and "would run code" in error and not (inner / "ran").exists()
    monkeypatch.setenv("XNNLINT_ALLOW_CODE", "1")
    code, _, error = run(capsys, monkeypatch, "check", "model.keras")
    assert (code, error) == (0, "") and (inner / "ran").exists()


def test_many_such_layers_take_no_longer_than_others(tmp_path: Path) -> None:
    def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
        return {"class_name": class_name, "config": {"name": name, **config}}

    start = layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 8])
    seconds = {}
    for class_name in ("ReLU", "Odd"):
        layers = [start, *(layer(class_name, f"layer_{n}") for n in range(3000))]
        path = tmp_path / "model.json"
        path.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "model", "layers": layers}}))
        begin = time.process_time()
        xnnlint.lint(path)
        seconds[class_name] = time.process_time() - begin
    assert seconds["Odd"] < 5 * seconds["ReLU"] + 2
