"""Baselines: what is accepted, what is new, what is stale; and that exporting a model again makes nothing new."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.linter import reexport
from tests.models import FIXTURES
from xnnlint.errors import XnnlintError
from xnnlint.linter import baseline
from xnnlint.linter.baseline import Baseline, BaselineEntry, fingerprints
from xnnlint.linter.engine import check_model
from xnnlint.linter.findings import Finding, Location, ModelReport, Severity
from xnnlint.reporters import json_document
from xnnlint.xnnpack.profile import load_profile

HALF = FIXTURES / "guide_half.tflite"
SPARSE = FIXTURES / "guide_sparse.tflite"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    shutil.copy(HALF, tmp_path / "models" / "half.tflite")
    shutil.copy(SPARSE, tmp_path / "models" / "fine.tflite")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


def finding(
    rule: str = "XNN301", layer: str = "conv", kind: str = "CONV_2D", severity: Severity = Severity.ERROR, op: int = 0
) -> Finding:
    return Finding(rule, "a-name", severity, f"message about {op}", location=Location(op, layer, kind))


def report(*findings: Finding, path: str = "m.tflite", **others) -> ModelReport:
    return ModelReport(path, "tflite", findings=list(findings), **others)


def judged(accepted: list[Finding], found: list[Finding]) -> tuple[ModelReport, list[str]]:
    """A report after a baseline made of other findings, and the stale entries."""
    known = Baseline("base.json")
    known.accept(report(*accepted))
    now = report(*found)
    known.judge(now)
    return now, [str(one.entry) for one in known.stale]


# --- the program -----------------------------------------------------------------------------------------------------


def test_today_s_findings_are_accepted_and_new_ones_fail(project, call):
    assert call("check", "models")[0] == 1
    code, out, err = call("check", "models", "--baseline", "base.json", "--write-baseline")
    assert (code, out) == (0, "")
    assert err == "xnnlint: wrote 1 finding of 1 model to base.json\n"
    code, out, err = call("check", "models", "--baseline", "base.json")
    assert (code, err) == (0, "")
    assert "No findings (1 in the baseline). Exit code 0." in out
    assert "Not shown: 1 finding in the baseline." in call("check", "models/half.tflite", "--baseline", "base.json")[1]
    # A new model with a problem is not covered by it.
    shutil.copy(HALF, project / "models" / "new.tflite")
    code, out, err = call("check", "models", "--baseline", "base.json", "--format", "json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(json_document.published_schema("report")).validate(document)
    assert code == 1
    found = {Path(m["path"]).name: (len(m["findings"]), m["suppressed"]["baseline"]) for m in document["models"]}
    assert found == {"fine.tflite": (0, 0), "half.tflite": (0, 1), "new.tflite": (1, 0)}
    assert document["baseline"] == {"file": "base.json", "stale": []}


def test_entries_that_are_solved_or_whose_model_is_gone_are_named(project, call):
    shutil.copy(HALF, project / "models" / "gone.tflite")
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    shutil.copy(SPARSE, project / "models" / "half.tflite")
    (project / "models" / "gone.tflite").unlink()
    code, _, err = call("check", "models", "--baseline", "base.json")
    assert code == 0
    assert err.startswith("xnnlint: warning: base.json: 2 entries no longer found, --write-baseline removes them: ")
    assert f"{Path('models', 'half.tflite')}: XNN301 at conv2d_1 (CONV_2D)" in err
    assert "models/gone.tflite: there is no such file" in err
    stale = json.loads(call("check", "models", "--baseline", "base.json", "-f", "json")[1])["baseline"]["stale"]
    assert [(s["path"], s["rule"]) for s in stale] == [("models/half.tflite", "XNN301"), ("models/gone.tflite", None)]
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    assert json.loads((project / "base.json").read_text())["models"] == {}


def test_a_part_of_the_models_leaves_the_entries_of_the_others(project, call):
    shutil.copy(HALF, project / "models" / "other.tflite")
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    before = (project / "base.json").read_text()
    assert call("check", "models/fine.tflite", "--baseline", "base.json")[2] == ""
    call("check", "models/half.tflite", "--baseline", "base.json", "--write-baseline")
    assert (project / "base.json").read_text() == before


def test_the_configuration_names_the_file(project, call):
    code, out, err = call("check", "models", "--write-baseline")
    assert (code, out) == (2, "")
    assert "--baseline FILE" in err
    (project / "xnnlint.toml").write_text('baseline = "ci/base.json"\n')
    (project / "ci").mkdir()
    assert call("check", "models")[0] == 2
    assert call("check", "models", "--write-baseline")[0] == 0
    # Paths count from the file's folder, so that it may lie anywhere.
    assert list(json.loads((project / "ci" / "base.json").read_text())["models"]) == ["../models/half.tflite"]
    assert call("check", "models")[0] == 0
    os.chdir(project / "models")
    assert call("check", "half.tflite")[0] == 0
    assert call("check", str(project / "models" / "half.tflite"))[0] == 0
    assert call("check", "half.tflite", "--isolated")[0] == 1


def test_what_cannot_be_read_is_an_error_still_and_keeps_its_entries(project, call):
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    before = (project / "base.json").read_text()
    (project / "models" / "half.tflite").write_bytes(b"")
    code, _, err = call("check", "models", "--baseline", "base.json")
    assert code == 2
    assert "no longer found" not in err
    code, _, err = call("check", "models", "--baseline", "base.json", "--write-baseline")
    assert code == 2
    assert "half.tflite: the file is empty" in err
    assert (project / "base.json").read_text() == before


def test_budgets_are_never_accepted(project, call):
    budget = ["--config", "budget.min-spmm-operators=1"]
    call("check", "models", "--baseline", "base.json", "--write-baseline", *budget)
    code, out, _ = call("check", "models", "--baseline", "base.json", *budget, "--verbose")
    assert code == 1
    assert "XNB101 error" in out
    assert "XNN301" not in out


def test_require_sparse_and_the_outcome_do_not_change(project, call):
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    code, out, err = call("check", "models", "--baseline", "base.json", "--require-sparse")
    assert code == 1
    assert re.search(r"half\.tflite +dense", out)
    assert "does not run sparse, which --require-sparse demands" in err


def test_an_ignored_rule_leaves_its_entries_alone(project, call):
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    before = (project / "base.json").read_text()
    assert call("check", "models", "--baseline", "base.json", "--ignore", "XNN301")[2] == ""
    call("check", "models", "--baseline", "base.json", "--write-baseline", "--select", "XNN1")
    assert (project / "base.json").read_text() == before


# --- damaged files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "it is no JSON"),
        ("{", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", "this is no baseline of xnnlint"),
        ('{"version": 1, "models": {}}', "this is no baseline of xnnlint"),
        ('{"tool": "xnnlint", "version": 2, "models": {}}', "of version 2"),
        ('{"tool": "xnnlint", "version": 1}', "it has no `models`"),
        ('{"tool": "xnnlint", "version": 1, "models": {"a": 3}}', "what it has of a is no list"),
        ('{"tool": "xnnlint", "version": 1, "models": {"a": [{"rule": "X"}]}}', "an entry of a is not understood"),
        (
            '{"tool": "xnnlint", "version": 1, "models": {"a": [{"rule": "X", "severity": "bad", "type": "", '
            '"layer": ""}]}}',
            "an entry of a is not understood",
        ),
    ],
)
@pytest.mark.parametrize("option", [[], ["--write-baseline"]])
def test_a_damaged_file_is_reported_and_kept(project, call, text, part, option):
    (project / "base.json").write_text(text)
    code, out, err = call("check", "models", "--baseline", "base.json", *option)
    assert (code, out) == (2, "")
    assert err.startswith("xnnlint: error: base.json: ")
    assert part in err
    assert (project / "base.json").read_text() == text


def test_a_missing_file_is_no_empty_baseline(project, call):
    code, out, err = call("check", "models", "--baseline", "missing.json")
    assert (code, out) == (2, "")
    assert "missing.json: there is no such baseline; --write-baseline writes it" in err


def test_a_file_that_cannot_be_written_leaves_the_old_one(project, call, monkeypatch):
    call("check", "models", "--baseline", "base.json", "--write-baseline")
    before = (project / "base.json").read_text()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = call("check", "models", "--baseline", "base.json", "--write-baseline")
    assert code == 2
    assert "base.json: not written: No space left on device" in err
    assert (project / "base.json").read_text() == before
    assert [path.name for path in project.iterdir() if "base" in path.name] == ["base.json"]


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_is_sorted_and_has_a_line_for_each_finding():
    entries = {
        "b.tflite": [BaselineEntry("XNN301", "z", "CONV_2D", "error"), BaselineEntry("XNN101", "é\n", "MEAN", "note")],
        "a.tflite": [BaselineEntry("XNN303", "", "", "note")],
    }
    text = baseline.dumps(entries)
    assert text.isascii()
    lines = [line for line in text.splitlines() if '"rule"' in line]
    assert [re.findall(r"XNN\d+", line) for line in lines] == [["XNN303"], ["XNN101"], ["XNN301"]]
    document = json.loads(text)
    assert document["version"] == 1
    assert list(document["models"]) == ["a.tflite", "b.tflite"]
    assert document["models"]["b.tflite"][0] == {
        "rule": "XNN101",
        "severity": "note",
        "type": "MEAN",
        "layer": "é\n",
    }


def test_one_more_finding_is_one_more_line():
    before = baseline.dumps(
        {"m": [BaselineEntry("XNN101", "a", "MEAN", "error"), BaselineEntry("XNN301", "b", "CONV_2D", "error")]}
    )
    more = [BaselineEntry("XNN201", "c", "CONV_2D", "error")]
    old = [BaselineEntry("XNN101", "a", "MEAN", "error"), BaselineEntry("XNN301", "b", "CONV_2D", "error")]
    after = baseline.dumps({"m": old + more})
    assert len(set(after.splitlines()) - set(before.splitlines())) == 1
    assert not set(before.splitlines()) - set(after.splitlines())


def test_an_empty_file_is_valid(tmp_path):
    Baseline(str(tmp_path / "b.json")).write()
    assert baseline.read(str(tmp_path / "b.json")).models == {}


def test_what_is_written_is_read(tmp_path):
    known = Baseline(str(tmp_path / "b.json"))
    known.accept(report(finding(), finding("XNN101", "gap", "MEAN"), path=str(tmp_path / "m.tflite")))
    (tmp_path / "m.tflite").touch()
    known.write()
    assert baseline.read(known.file).models == known.models


# --- matching --------------------------------------------------------------------------------------------------------


def test_a_second_finding_at_the_same_place_is_new():
    now, stale = judged([finding()], [finding(), finding()])
    assert (len(now.accepted), len(now.findings), stale) == (1, 1, [])


@pytest.mark.parametrize("other", [finding("XNN302"), finding(layer="dense"), finding(kind="MEAN")])
def test_another_rule_layer_or_operator_is_new(other):
    now, stale = judged([finding()], [other])
    assert now.findings == [other]
    assert stale == ["XNN301 at conv (CONV_2D)"]


def test_numbers_of_operators_do_not_matter():
    now, stale = judged([finding(op=3)], [finding(op=77)])
    assert (now.findings, stale) == ([], [])


def test_names_that_keras_counted_on_are_known():
    now, stale = judged(
        [finding(layer="conv2d"), finding(layer="conv2d_1"), finding(layer="block_2/conv2d_2")],
        [finding(layer="conv2d_5"), finding(layer="conv2d_6"), finding(layer="block_9/conv2d_7")],
    )
    assert (now.findings, stale) == ([], [])


def test_names_that_are_the_same_come_before_names_that_are_alike():
    now, _ = judged(
        [finding(layer="conv2d_1"), finding(layer="conv2d_2")],
        [finding(layer="conv2d"), finding(layer="conv2d_1"), finding(layer="conv2d_2")],
    )
    assert [f.location.name for f in now.findings] == ["conv2d"]


def test_a_number_within_a_name_counts():
    now, _ = judged([finding(layer="conv1_bn")], [finding(layer="conv2_bn")])
    assert len(now.findings) == 1


def test_what_became_graver_is_new_and_its_entry_not_stale():
    warned = finding(severity=Severity.WARNING)
    now, stale = judged([warned], [finding()])
    assert (len(now.findings), stale) == (1, [])
    now, stale = judged([finding()], [warned])
    assert (now.findings, stale) == ([], [])


def test_a_model_s_entries_are_not_those_of_another():
    known = Baseline("base.json")
    known.accept(report(finding(), path="a.tflite"))
    other = report(finding(), path="b.tflite")
    known.judge(other)
    assert other.findings == [finding()]


# --- exporting again -------------------------------------------------------------------------------------------------

TROUBLED = [
    path
    for path in (FIXTURES / "guide_half.tflite", *sorted((FIXTURES / "patterns").glob("*.tflite"))[::6])
    if path.exists()
]


@pytest.mark.parametrize("path", TROUBLED, ids=lambda path: path.stem)
def test_other_numbers_of_tensors_buffers_and_operators_make_nothing_new(path, tmp_path):
    profile = load_profile()
    before = check_model(path, profile)
    assert before.error is None
    known = Baseline(str(tmp_path / "base.json"))
    known.models = {"m.tflite": sorted(map(baseline.entry, before.findings))}
    marks = sorted(fingerprints(before.findings))
    for seed in (1, 2):
        after = check_model(reexport.write_shuffled(path, tmp_path / "m.tflite", seed), profile)
        assert after.error is None
        assert sorted(fingerprints(after.findings)) == marks
        known.judge(after)
        assert (after.findings, known.stale) == ([], [])
        assert len(after.accepted) == len(before.findings)


def test_the_shuffled_models_are_other_files_with_findings(tmp_path):
    found = 0
    for path in TROUBLED:
        assert reexport.shuffled(path.read_bytes(), 1) != path.read_bytes()
        found += len(check_model(path, load_profile()).findings)
    assert found >= len(TROUBLED) / 2


def test_fingerprints_are_of_one_finding_each():
    found = [finding(op=op, layer=layer) for op, layer in itertools.product(range(3), ("a", "a_1", "b"))]
    assert len(set(fingerprints(found))) == len(found)
    assert fingerprints([finding(op=1)]) == fingerprints([finding(op=9, layer="conv_3")])


@pytest.mark.tensorflow
def test_a_model_that_is_built_trained_and_converted_again_has_nothing_new(tmp_path):
    import tf_keras as keras

    from xnnlint.runtime import tensorflow_converter as convert

    layers = keras.layers

    def export(seed: int, batch: int | None) -> ModelReport:
        keras.utils.set_random_seed(seed)
        x = inputs = keras.Input((16, 16, 3))
        x = layers.ReLU()(layers.Conv2D(8, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(x)))
        for _ in range(2):
            x = layers.Conv2D(16, 1)(x)
            x = layers.Activation("gelu")(x)
            x = layers.Conv2D(16, 1)(x)
            x = layers.MaxPooling2D()(x)
        model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
        for layer in model.layers:
            if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1):
                kernel, bias = layer.get_weights()
                kernel[abs(kernel) < sorted(abs(kernel).ravel())[int(0.8 * kernel.size)]] = 0
                layer.set_weights([kernel, bias])
        model.save(tmp_path / "m.keras")
        (tmp_path / "m.tflite").write_bytes(convert.convert(tmp_path / "m.keras", batch=batch))
        return check_model(tmp_path / "m.tflite", load_profile())

    keras.backend.clear_session()
    first = export(1, None)
    names = {f.location.name for f in first.findings}
    assert len(first.findings) >= 2
    known = Baseline(str(tmp_path / "base.json"))
    known.accept(first)
    # The session goes on, so that Keras counts on and every layer gets another name.
    again = export(2, 3)
    assert names - {f.location.name for f in again.findings}
    known.judge(again)
    assert (again.findings, known.stale) == ([], [])


def test_an_unknown_baseline_raises_what_the_program_tells(tmp_path):
    with pytest.raises(XnnlintError, match="no such baseline"):
        baseline.read(str(tmp_path / "none.json"))
