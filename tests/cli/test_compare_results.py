"""`xnnlint compare` of what `check` wrote of many models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.reporters.json_document import published_schema


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


@pytest.fixture
def results(tmp_path, monkeypatch, call):
    """The same models on two nights: one was fixed, one was broken, one is gone, one is new; the current folder."""
    monkeypatch.chdir(tmp_path)
    nights = {
        "first": {"a": "guide_half", "b": "guide_sparse", "c": "guide_sparse", "gone": "guide_int8"},
        "second": {"a": "guide_sparse", "b": "guide_half", "c": "guide_sparse", "new": "guide_int8"},
    }
    for night, models in nights.items():
        shutil.rmtree("models", ignore_errors=True)
        Path("models").mkdir()
        for name, fixture in models.items():
            shutil.copy(FIXTURES / f"{fixture}.tflite", f"models/{name}.tflite")
        call("check", "models", "--report", f"jsonl={night}.jsonl", "--report", f"json={night}.json")
    return tmp_path


@pytest.mark.parametrize("second", ["second.jsonl", "second.json"])
def test_what_changed_from_one_night_to_the_next(results, call, second):
    code, out, err = call("compare", "first.jsonl", second)
    assert (code, err) == (1, "")
    assert out == (
        f"""\
first.jsonl -> {second}
3 models in both, 1 only in the second, 1 only in the first.

models  outcome
     1  sparse -> dense
     1  dense -> sparse

worse: 1 model
  models/b.tflite  sparse -> dense, SpMM 2 -> 0, XNN301

better: 1 model
  models/a.tflite  dense -> sparse, SpMM 0 -> 2

SpMM: 4 -> 4. Errors: +0.
"""
    )


def test_what_fails_is_for_the_user_to_say(results, call):
    assert call("compare", "first.jsonl", "second.jsonl", "--fail-on", "time")[0] == 0
    assert call("compare", "first.jsonl", "second.jsonl", "--fail-on", "spmm")[0] == 1
    assert call("compare", "first.jsonl", "second.jsonl", "--fail-on", "never")[0] == 0
    code, out, _ = call("compare", "first.jsonl", "first.json")
    assert (code, out.splitlines()[1:]) == (
        0,
        ["4 models in both, 0 only in the second, 0 only in the first.", "", "SpMM: 4 -> 4. Errors: +0."],
    )


def test_programs_get_every_model_that_differs(results, call):
    code, out, _ = call("compare", "first.jsonl", "second.jsonl", "-f", "json")
    said = json.loads(out)
    jsonschema.Draft202012Validator(published_schema("results")).validate(said)
    assert (code, said["models"], said["worse"]) == (1, 3, ["outcome", "spmm", "findings"])
    by_path = {one["path"]: one for one in said["differing"]}
    assert by_path.keys() == {f"models/{name}.tflite" for name in ("a", "b", "new", "gone")}
    assert by_path["models/b.tflite"]["changes"] | {"size": ""} == {
        "outcome": "worse",
        "spmm": "worse",
        "findings": "worse",
        "size": "",
    }
    assert by_path["models/b.tflite"]["after"]["blockers"] == ["XNN301"]
    assert (by_path["models/new.tflite"]["before"], by_path["models/gone.tflite"]["after"]) == (None, None)
    # A document says nothing of sizes: that makes no model another one.
    assert json.loads(call("compare", "first.jsonl", "first.json", "-f", "json")[1])["differing"] == []


def test_a_move_to_another_runtime_is_in_one_result(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FIXTURES / "guide_keepdims_false.tflite", "keepdims.tflite")
    shutil.copy(FIXTURES / "guide_sparse.tflite", "sparse.tflite")
    call("check", ".", "--runtime", "litert-2.3,tf-2.4", "--report", "jsonl=all.jsonl")
    code, out, _ = call("compare", "all.jsonl", "--runtime", "tf-2.4", "--to-runtime", "litert-2.3")
    assert code == 0
    assert out.startswith("all.jsonl (tf-2.4) -> all.jsonl (litert-2.3)\n2 models in both, ")
    assert "better: 1 model\n  keepdims.tflite  dense -> sparse, SpMM 0 -> 2\n\nSpMM: 2 -> 4." in out
    code, out, _ = call("compare", "all.jsonl", "--runtime", "litert-2.3", "--to-runtime", "tf-2.4")
    assert (code, "keepdims.tflite  sparse -> dense, SpMM 2 -> 0, XNN601" in out) == (1, True)
    code, _, err = call("compare", "all.jsonl", "--runtime", "litert-2.3", "--to-runtime", "litert-2.1")
    assert (code, err) == (
        2,
        "xnnlint: error: keepdims.tflite was not checked for litert-2.1, but for litert-2.3, tf-2.4\n",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["first.jsonl"], "compare takes two results; or one of several runtimes"),
        (["first.jsonl", "models/a.tflite"], "compare takes two results; or one of several runtimes"),
        (
            ["first.jsonl", "none.jsonl"],
            "none.jsonl: there is no such file; xnnlint check writes it with --report jsonl=",
        ),
        (["first.jsonl", "cut.jsonl"], "cut.jsonl: this is damaged, or no result of xnnlint check"),
        (["first.jsonl", "other.jsonl"], "other.jsonl:1: this is no model of a result of xnnlint check"),
        (["first.jsonl", "newer.jsonl"], "newer.jsonl:1: these results are of version 99, and this xnnlint reads 1"),
        (["first.jsonl", "second.jsonl", "-f", "markdown"], "results are compared as text or as json"),
    ],
)
def test_what_is_no_result(results, call, arguments, problem):
    Path("cut.jsonl").write_text(Path("first.jsonl").read_text()[:500])
    Path("other.jsonl").write_text('{"a": 1}\n')
    Path("newer.jsonl").write_text('{"schema_version": 99}\n')
    code, out, err = call("compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"xnnlint: error: {problem}")
    assert err.count("\n") == 1


def test_a_keras_architecture_is_no_result(results, call):
    """It has the suffix of a document, and is a model."""
    Path("model.json").write_text("{}")
    _, _, err = call("compare", "model.json", "models/a.tflite")
    assert "model.json: " in err
    assert "results" not in err
