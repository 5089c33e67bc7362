"""Models that are being pruned: what their schedules end in, and what is found before the training is spent."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import xnnlint
from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.fixes.keras.archive import Archive
from xnnlint.linter.findings import ModelReport, Severity
from xnnlint.loaders import load_any
from xnnlint.reporters.formats.json_report import document
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.profile import load_profile

WRAPPED = FIXTURES / "guide_wrapped.h5"


def wrappers(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["config"] for entry in config["config"]["layers"] if entry["class_name"] == "PruneLowMagnitude"]


def before_training(folder: Path, change: Any = lambda config: None) -> ModelReport:
    """The guide's wrapped model as an architecture, whose weights have no zeros yet."""
    config = copy.deepcopy(Archive(str(WRAPPED)).document)
    change(config)
    path = folder / "wrapped.json"
    path.write_text(json.dumps(config))
    return xnnlint.lint(path)


def ending_at(final: float) -> Any:
    def change(config: dict[str, Any]) -> None:
        for wrapper in wrappers(config):
            decay = {"initial_sparsity": 0.0, "final_sparsity": final, "power": 3, "begin_step": 0, "end_step": 900}
            wrapper["pruning_schedule"] = {"class_name": "PolynomialDecay", "config": decay | {"frequency": 100}}

    return change


def found(report: ModelReport) -> list[str]:
    return [finding.message for finding in report.findings if finding.rule == "XNN307"]


@pytest.mark.parametrize("final", [0.75, 0.9])
def test_the_end_of_the_schedule_is_forecast(tmp_path: Path, final: float) -> None:
    report = before_training(tmp_path, ending_at(final))
    end = report.at_schedule_end
    assert end is not None and (end.outcome, end.spmm, end.pointwise_convs) == (Outcome.SPARSE, 2, 2)
    assert end.share == pytest.approx(final, abs=0.01)
    assert found(report) == []


def test_the_report_says_it(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    report = before_training(tmp_path, ending_at(0.75))
    told = document(load_profile(), [report])["models"][0]["at_schedule_end"]
    assert (told["outcome"], told["spmm"]) == ("sparse", 2)
    _, out, _ = run(capsys, monkeypatch, "check", str(tmp_path / "wrapped.json"))
    assert "At 75% zeros, where the pruning schedule ends: sparse, 2 of 2." in " ".join(out.split())


def test_a_schedule_that_ends_too_low_is_found(tmp_path: Path) -> None:
    report = before_training(tmp_path, ending_at(0.5))
    assert found(report) == ["the pruning schedule ends with too few zeros"]
    assert report.at_schedule_end is not None and report.at_schedule_end.outcome is Outcome.DENSE


def test_a_model_that_is_at_the_end_has_no_forecast() -> None:
    report = xnnlint.lint(WRAPPED)
    assert report.at_schedule_end is None and found(report) == []


def test_blocks_are_found(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        for wrapper in wrappers(config):
            wrapper["block_size"] = [1, 4]

    (finding,) = [f for f in before_training(tmp_path, change).findings if f.rule == "XNN307"]
    assert finding.severity is Severity.WARNING and finding.actual.startswith("(1, 4) at ")


def test_a_convolution_that_nobody_wrapped_is_named(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        layers = config["config"]["layers"]
        at = next(i for i, entry in enumerate(layers) if entry["class_name"] == "PruneLowMagnitude")
        layers[at] = layers[at]["config"]["layer"]

    report = before_training(tmp_path, change)
    assert "1x1 convolutions are not wrapped, so their weights count unpruned" in found(report)


@pytest.mark.parametrize(
    "schedule", [None, [], {"class_name": "PolynomialDecay", "config": {"final_sparsity": "much"}}]
)
def test_schedules_that_cannot_be_read_say_nothing(tmp_path: Path, schedule: Any) -> None:
    def change(config: dict[str, Any]) -> None:
        for wrapper in wrappers(config):
            wrapper["pruning_schedule"] = schedule

    report = before_training(tmp_path, change)
    assert report.at_schedule_end is None and found(report) == []


@pytest.mark.tensorflow
def test_patterns_of_a_model_in_memory_are_found() -> None:
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.ZeroPadding2D()(image))
    wrap = tfmot.sparsity.keras.prune_low_magnitude
    x = wrap(
        layers.Conv2D(16, 1), pruning_schedule=tfmot.sparsity.keras.ConstantSparsity(0.5, 0), sparsity_m_by_n=(2, 4)
    )(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    ((_, schedule),) = load_any(model).schedules
    assert schedule.pattern == (2, 4) and schedule.share == 0.5
    assert found(xnnlint.lint(model)) == ["2 of every 4 weights become zero, which never passes two thirds"]
