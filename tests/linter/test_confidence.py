"""Layers of unknown effect: named, never guessed at, and what depends on them is no error."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import xnnlint
from tests.models import FIXTURES
from xnnlint.linter.findings import ModelReport, Severity
from xnnlint.reporters.formats.json_report import document
from xnnlint.reporters.json_document import published_schema
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

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


def custom(layer: dict[str, Any]) -> None:
    layer.update(class_name="Swish", registered_name="mine>Swish", module="mine")
    layer["config"] = {"name": layer["config"]["name"], "dtype": "float32"}


def coded(layer: dict[str, Any]) -> None:
    layer.update(class_name="Lambda", registered_name=None, module="keras.layers")
    layer["config"] = {"name": layer["config"]["name"], "dtype": "float32", "function": ["4wEAAAAA", None, None]}


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
    report = guide(tmp_path, ("re_lu_4", custom))
    assert report.plan is not None and report.plan.outcome is Outcome.DENSE
    ends = [f for f in report.findings if f.rule == "XNN202"]
    assert ends and all("unless a layer of unknown effect" in f.message for f in ends)
    assert report.worst is Severity.WARNING


def test_conditions_in_front_of_it_stay_errors(tmp_path: Path) -> None:
    report = guide(tmp_path, ("conv2d", wide), ("re_lu_4", custom))
    errors = {f.location.name: f for f in report.findings if f.severity is Severity.ERROR}
    assert errors["conv2d"].rule == "XNN101" and not any("unless" in f.message for f in errors.values())


def test_the_reports_say_so(tmp_path: Path) -> None:
    from xnnlint.reporters.formats.text_report import model_lines

    profile = load_profile()
    unsure, sure = guide(tmp_path, ("re_lu_4", custom)), guide(tmp_path)
    for report, confidence in ((unsure, "low"), (sure, None)):
        told = document(profile, [report])
        jsonschema.validate(told, published_schema("report"))
        assert told["models"][0].get("confidence") == confidence
        text = "\n".join("".join(span.text for span in line) for line in model_lines(report, profile, 200))
        assert ("Low confidence: what becomes of" in text) == (confidence == "low")
        assert ("Outputs are correct" in text) == (confidence is None)


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
