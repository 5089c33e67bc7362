"""What a check of a Keras model says of `xnnlint convert --fix`, and that this does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import xnnlint
from tests.cli.program import run
from tests.models import FIXTURES
from tests.rounds import every
from xnnlint.fixes import after_conversion, check_fixes
from xnnlint.fixes.after_conversion import Converted
from xnnlint.fixes.keras import config_remedies
from xnnlint.linter.findings import FixOutcome
from xnnlint.loaders import load
from xnnlint.runtime.verify import choose, verify_each
from xnnlint.xnnpack.plan import Outcome

CASES = FIXTURES / "cases"
# Seen in runs of what the converter made of them, once it was fixed: SpMM, and 1x1 convolutions.
FIXED = {"tfk_mbv3_hswish_div": (16, 16), "k3_mbv3_hswish_layer": (16, 16), "tfk_se_is_expand": (6, 6)}


@pytest.mark.parametrize("name", FIXED)
def test_the_road_by_the_converted_file_is_forecast(name: str) -> None:
    plan = xnnlint.lint(CASES / f"{name}.keras").plan
    assert plan is not None
    converted = after_conversion.after_conversion(plan, whatever_size=True).made
    assert converted is not None
    assert (converted.outcome, converted.spmm, converted.convolutions) == (Outcome.SPARSE, *FIXED[name])


def test_what_is_predicted_to_be_slower_is_said_apart() -> None:
    plan = xnnlint.lint(CASES / "tfk_mbv2_same.keras").plan
    assert plan is not None
    road = after_conversion.after_conversion(plan)
    assert road.made is None and road.if_slower is not None
    assert (road.if_slower.outcome, road.if_slower.spmm) == (Outcome.SPARSE, 12)


def test_what_the_layers_reach_is_not_told_twice() -> None:
    fixes = xnnlint.lint(CASES / "tfk_mbv2_same.keras").fixes
    assert fixes is not None and fixes.declined is not None
    assert (fixes.declined.outcome, fixes.declined.spmm) == (Outcome.SPARSE, 12)
    assert fixes.converted is fixes.converted_if_slower is None


def test_the_bound_says_that_the_own_changes_do_not_reach_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(CASES)
    _, out, _ = run(capsys, monkeypatch, "check", "tfk_mbv2_same.keras")
    text = " ".join(out.split())
    assert "cost of changes aside; those of xnnlint fix take more than they bring, as predicted." in text
    target = str(tmp_path / "fixed.keras")
    _, out, _ = run(capsys, monkeypatch, "fix", "tfk_mbv2_same.keras", "-o", target, "--format", "json")
    (document,) = json.loads(out)["models"]
    assert document["declined"]["predicted"]["value"] < 1


def test_the_report_names_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model whose layers reach nothing by themselves."""
    monkeypatch.chdir(CASES)
    monkeypatch.setattr(check_fixes, "_ways", lambda *given: (None, None))
    _, out, _ = run(capsys, monkeypatch, "check", "tfk_mbv2_same.keras")
    text = " ".join(out.split())
    assert "xnnlint convert tfk_mbv2_same.keras -o model.tflite --fix --even-if-slower sparse, 12 of 12" in text
    _, out, _ = run(capsys, monkeypatch, "check", "-f", "json", "tfk_mbv2_same.keras")
    found = json.loads(out)["models"][0]["fixes"]
    assert found["converted"] is None
    assert found["converted_if_slower"] == {"changes": 3, "outcome": "sparse", "spmm": 12, "convolutions": 12}


def test_a_large_model_is_searched_where_that_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In passing a check says only that there are fixes, and how to ask."""
    model = str(CASES / "k3_mbv3_hswish_layer.keras")
    monkeypatch.setattr(config_remedies, "layer_fixers", lambda: ())
    monkeypatch.setattr(check_fixes, "_ways", lambda *given: (None, None))
    _, out, _ = run(capsys, monkeypatch, "check", model)
    assert "-o model.tflite --fix has safe fixes for 3 findings; check --fixes tries it" in " ".join(out.split())
    _, out, _ = run(capsys, monkeypatch, "check", "--fixes", model)
    assert "-o model.tflite --fix sparse, 16 of 16: same outputs" in " ".join(out.split())


def test_a_model_that_is_sparse_already_has_no_road() -> None:
    plan = xnnlint.lint(FIXTURES / "guide_sparse.keras").plan
    assert plan is not None
    assert after_conversion.after_conversion(plan, whatever_size=True) == Converted()


def test_nothing_is_said_of_layers_of_unknown_effect() -> None:
    plan = xnnlint.lint(CASES / "tfk_custom_dropblock.keras").plan
    assert plan is not None
    assert after_conversion.after_conversion(plan, whatever_size=True) == Converted()


def test_a_road_that_is_no_better_is_not_told() -> None:
    plan = xnnlint.lint(CASES / "tfk_se_is_expand.keras").plan
    assert plan is not None
    assert after_conversion.after_conversion(plan, [FixOutcome(9, Outcome.SPARSE, 6, 6)]) == Converted()


@pytest.mark.tensorflow
@pytest.mark.judge
@pytest.mark.parametrize("name", every(2, FIXED))
def test_convert_and_fix_in_one_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = str(tmp_path / "model.tflite")
    # Of so small models the time that is measured says little.
    model = str(CASES / f"{name}.keras")
    code, out, _ = run(capsys, monkeypatch, "convert", "--fix", "--even-if-slower", model, "-o", target)
    assert code == 0
    assert "proved" in out and f"sparse: {FIXED[name][0]} of {FIXED[name][1]}" in out
    (seen,) = verify_each([target], choose(seeds=1))
    assert seen.agrees and seen.observation is not None
    assert (seen.observation.outcome, seen.observation.spmm) == ("sparse", FIXED[name][0])


@pytest.mark.tensorflow
@pytest.mark.judge
def test_what_does_not_pay_is_converted_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.tflite"
    code, out, _ = run(capsys, monkeypatch, "convert", "--fix", str(CASES / "tfk_mbv2_same.keras"), "-o", str(target))
    assert code == 1 and "nothing is changed, since it does not pay" in out
    assert load(target).main.operators


def test_even_if_slower_is_of_fixes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, target = str(CASES / "tfk_mbv2_same.keras"), str(tmp_path / "model.tflite")
    code, _, error = run(capsys, monkeypatch, "convert", "--even-if-slower", model, "-o", target)
    assert code == 2 and "--fix" in error
