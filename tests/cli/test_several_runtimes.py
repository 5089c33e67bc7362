"""`check --runtime all`, or several with commas between: what each runtime makes of each model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from tests.xnnpack.test_profiles import model_file
from xnnlint.errors import XnnlintError
from xnnlint.linter import engine
from xnnlint.reporters.json_document import published_schema
from xnnlint.xnnpack.profile import every_runtime, load_profile

KEEPDIMS, SPARSE = FIXTURES / "guide_keepdims_false.tflite", FIXTURES / "guide_sparse.tflite"


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    shutil.copy(KEEPDIMS, tmp_path / "keepdims.tflite")
    shutil.copy(SPARSE, tmp_path / "sparse.tflite")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("pattern", ["mean_softmax", "mean_keep_softmax", "mean_keep_pw_pruned", "unary_tanh"])
def test_each_runtime_makes_of_it_what_it_makes_alone(pattern: str, tmp_path: Path):
    """Whose predictions are held against real releases in tests/xnnpack/test_profiles."""
    file = model_file(pattern, tmp_path)
    found = engine.check_model(file, load_profile("all", "x86-sse"))
    assert [one.runtime for one in found.by_runtime] == [profile.runtime for profile in every_runtime()]
    for one, profile in zip(found.by_runtime, every_runtime("x86-sse"), strict=True):
        alone = engine.check_model(file, profile)
        assert alone.summary is not None
        assert (one.outcome, one.spmm) == (alone.outcome, alone.summary.spmm)
        blockers = [f.rule for f in alone.findings if f.unlocks is not None and f.unlocks.in_smallest_set]
        assert list(one.blockers) == list(dict.fromkeys(blockers))
        assert alone.by_runtime == ()
    assert len({one.outcome for one in found.by_runtime}) > 1
    portable = engine.check_model(file, load_profile("portable", "x86-sse"))
    assert (portable.outcome, portable.findings) == (found.outcome, found.findings)


def test_some_runtimes_are_only_these(tmp_path: Path):
    file = model_file("mean_softmax", tmp_path)
    old = engine.check_model(file, load_profile("tf-2.4,litert-2.3"))
    assert [(one.runtime, one.outcome.value) for one in old.by_runtime] == [
        ("litert-2.3", "sparse"),
        ("tf-2.4", "dense"),
    ]
    assert [finding.message[-8:] for finding in old.findings if finding.rule == "XNN601"] == ["[tf-2.4]"]
    new = engine.check_model(file, load_profile("litert-2.1,litert-2.0"))
    assert (new.outcome.value, {one.outcome for one in new.by_runtime}) == ("sparse", {new.outcome})


def test_what_an_application_brings_is_known_to_each_runtime():
    profile = load_profile("all").knowing(["Mine"])
    assert {one.custom_operators for one in profile.each()} == {frozenset({"Mine"})}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("litert-2.3,mine", "unknown runtime 'mine'"),
        ("litert-2.3,", "unknown runtime ''"),
        ("all,tf-2.4", "--runtime all,tf-2.4: all stands for every runtime, so that it is given alone"),
    ],
)
def test_what_is_no_list_of_runtimes(name: str, problem: str, call):
    with pytest.raises(XnnlintError, match=problem):
        load_profile(name)
    code, out, err = call("check", SPARSE, "--runtime", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"xnnlint: error: {problem}")


def test_a_table_has_a_letter_for_each_runtime(zoo, call):
    code, out, err = call("check", ".", "--runtime", "litert-2.3,tf-2.18,tf-2.4")
    assert (code, err) == (1, "")
    assert out.replace("; (at most, if fixed); not measured on ARM", "") == (
        """\
model            outcome        SpMM      gain    runtimes  next
keepdims.tflite  dense          0 of 2    (1.2x)  SSd       fix
sparse.tflite    sparse         2 of 2    1.2x    SSS
Predicted for litert-2.3,tf-2.18,tf-2.4 on arm64. gain: times as fast as dense.
runtimes: litert-2.3, tf-2.18, tf-2.4; S sparse, d dense, W wrong results, F fails, ? unknown.
next: fix = xnnlint fix does it, outputs stay.
More on one of them: xnnlint check MODEL; on all: --verbose

runtime     sparse  dense  SpMM of 1x1
litert-2.3       2      0       4 of 4
tf-2.18          2      0       4 of 4
tf-2.4           1      1       2 of 4
Not the same on all of them: 1 of 2 models.

2 models: 1 sparse, 1 dense. 1 error, 1 fixable. Exit code 1.
"""
    )


def test_a_page_on_one_model_says_it_in_a_sentence(zoo, call):
    out = call("check", "keepdims.tflite", "--runtime", "litert-2.3,tf-2.18,tf-2.4")[1]
    assert "\n  By runtime: sparse, 2 of 2 (litert-2.3, tf-2.18); dense (tf-2.4).\n" in out
    assert "\n  By runtime: sparse, 2 of 2 on all 9.\n" in call("check", "sparse.tflite", "--runtime", "all")[1]


def test_json_and_lines_carry_it(zoo, call):
    document = json.loads(call("check", ".", "--runtime", "all", "-f", "json")[1])
    jsonschema.Draft202012Validator(published_schema("report")).validate(document)
    assert document["profile"]["runtime"] == "all"
    records = [json.loads(line) for line in call("check", ".", "--runtime", "all", "-f", "jsonl")[1].splitlines()]
    for record, model in zip(records, document["models"], strict=True):
        jsonschema.Draft202012Validator(published_schema("line")).validate(record)
        assert record["runtimes"] == model["runtimes"]
        assert record["runtime"] == "all"
    keepdims, sparse = records
    assert [one["outcome"] for one in keepdims["runtimes"]] == ["sparse"] * 8 + ["dense"]
    assert keepdims["runtimes"][-1]["blockers"] == ["XNN601"]
    assert {one["spmm"] for one in sparse["runtimes"]} == {2}
    summary = document["summary"]
    assert (summary["differing"], len(summary["runtimes"])) == (1, 9)
    assert summary["runtimes"][-1] == {
        "runtime": "tf-2.4",
        "outcomes": {"sparse": 1, "dense": 1, "wrong-results": 0, "fails": 0, "unknown": 0, "unreadable": 0},
        "spmm": 2,
        "pointwise_convs": 4,
    }


def test_the_configuration_takes_several_runtimes(zoo, call):
    (zoo / "xnnlint.toml").write_text('runtime = "tf-2.4, litert-2.3"\n')
    (keepdims, _) = json.loads(call("check", ".", "-f", "json")[1])["models"]
    assert [one["runtime"] for one in keepdims["runtimes"]] == ["litert-2.3", "tf-2.4"]
    (zoo / "xnnlint.toml").write_text('runtime = "portable,litert-2.3"\n')
    assert "portable stands for all of them, so that it is given alone" in call("check", ".")[2]


def test_names_are_separated_by_commas_or_the_option_is_repeated(zoo, call):
    said = call("check", ".", "--format", "json", "--runtime", "litert-2.3,tf-2.18,tf-2.4")
    assert json.loads(said[1])["models"][0]["runtimes"][-1]["runtime"] == "tf-2.4"
    repeated = ("--runtime", "litert-2.3", "--runtime=tf-2.18", "--runtime", "tf-2.4")
    assert call("check", ".", "--format", "json", *repeated) == said
    # The last of these options is read by typer alone.
    assert call("check", ".", "--format", "json", *repeated, "--engine", "processes") == said
    mixed = ("--runtime", "litert-2.3", "--runtime", "tf-2.18,tf-2.4", "--runtime", "litert-2.3")
    assert json.loads(call("check", ".", "--format", "json", *mixed)[1])["models"] == json.loads(said[1])["models"]


def test_a_parquet_file_has_a_row_for_each_model_and_runtime(zoo, call):
    parquet = pytest.importorskip("pyarrow.parquet")
    (zoo / "bad.tflite").write_bytes(SPARSE.read_bytes()[:200])
    call("check", ".", "--runtime", "litert-2.3,tf-2.4", "--report", "parquet=all.parquet")
    rows = [
        (row["path"], row["runtime"], row["outcome"], row["spmm"], row["blocker"])
        for row in parquet.read_table("all.parquet").to_pylist()
    ]
    expected = [("bad.tflite", "litert-2.3,tf-2.4", "unreadable", None, None)]
    for name in ("keepdims.tflite", "sparse.tflite"):
        for runtime in ("litert-2.3", "tf-2.4"):
            (alone,) = json.loads(call("check", name, "--runtime", runtime, "--format", "json")[1])["models"]
            unlocking = [f["rule"] for f in alone["findings"] if f["unlocks"] and f["unlocks"]["in_smallest_set"]]
            blocker = next(iter(unlocking), None)
            expected.append((name, runtime, alone["outcome"], alone["summary"]["spmm"], blocker))
    assert rows == expected
    assert len({row[2] for row in rows}) == 3
