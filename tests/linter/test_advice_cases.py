"""Models whose advice was false, or could not be followed; what is true of each was seen in real runs."""

from __future__ import annotations

from pathlib import Path

import xnnlint
from tests.models import FIXTURES
from xnnlint.linter.findings import Finding, ModelReport, Severity
from xnnlint.loaders import load
from xnnlint.model.unwrapped import unwrapped
from xnnlint.xnnpack.plan import Outcome
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile

CASES = FIXTURES / "cases"


def check(name: str) -> ModelReport:
    """The report on a case; of the config of a Keras model, to be pruned to 80%."""
    path = CASES / name
    return xnnlint.lint(path, assume_pruned=0.8) if path.suffix == ".json" else xnnlint.lint(path)


def found(report: ModelReport, rule: str) -> Finding:
    (finding,) = (f for f in report.findings if f.rule == rule)
    return finding


# -- pruning wrappers ------------------------------------------------------------------------------------------


def test_forgotten_wrappers_are_the_change_and_not_what_they_bring_about() -> None:
    report = check("m1_nostrip.tflite")
    assert [(f.rule, f.severity) for f in report.findings] == [("XNN306", Severity.ERROR), ("XNN601", Severity.NOTE)]
    unlocks = report.findings[0].unlocks
    assert unlocks is not None and unlocks.in_smallest_set and unlocks.alone == 5


def test_a_model_without_its_wrappers_has_the_zeros_of_its_masks_and_no_batch_normalization(tmp_path: Path) -> None:
    """TensorFlow's converter folds the batch normalization, as in the same model after strip_pruning."""
    stripped = unwrapped(load(CASES / "m1_nostrip.tflite"))
    assert stripped is not None
    plan = make_plan(stripped[0], load_profile())
    types = {op.type for op in plan.graph.operators}
    assert types == {"PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"}
    assert plan.summary is not None and plan.summary.pointwise_convs == 5
    assert 0.78 < plan.summary.pointwise_zeros / plan.summary.pointwise_params < 0.82
    assert plan.outcome is Outcome.DENSE, "nothing is stored sparse yet"
    assert unwrapped(stripped[0]) is None
