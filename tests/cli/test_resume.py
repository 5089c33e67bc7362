"""A run that was stopped goes on from its lines; and a run on a cluster says what one here says."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.program import run
from tests.models import FIXTURES

NAMES = ("guide_half.tflite", "guide_sparse.tflite", "guide_sparse.keras", "guide_int8.tflite", "guide_unpruned.tflite")


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    (tmp_path / "zoo").mkdir()
    for name in NAMES:
        shutil.copy(FIXTURES / name, tmp_path / "zoo")
    (tmp_path / "zoo" / "bad.tflite").write_bytes(b"TFL3" * 9)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


def lines(text: str) -> list[str]:
    return sorted(text.splitlines())


@pytest.fixture
def whole(zoo, call):
    """The lines of a run that was not stopped."""
    code, out, _ = call("check", "zoo", "--format", "jsonl")
    assert code == 2 and len(out.splitlines()) == 6
    return out


@pytest.mark.parametrize("there", [0, 1, 4, 6])
@pytest.mark.parametrize("half", [b"", b'{"sch', b'{"schema_version":1,"tool":{"na'])
def test_a_run_goes_on_where_it_was(zoo, call, whole, there, half):
    file = zoo / "zoo.jsonl"
    file.write_bytes("".join(whole.splitlines(keepends=True)[:there]).encode() + half)
    code, out, err = call("check", "zoo", "--resume", file, "--format", "jsonl")
    assert (code, lines(out)) == (2, lines(whole)) and "bad.tflite" in err
    assert lines(file.read_text()) == lines(whole)
    # What is complete stays as it is.
    before = file.read_bytes()
    assert call("check", "zoo", "--resume", file, "--format", "jsonl")[0] == 2
    assert file.read_bytes() == before


def test_the_table_has_the_models_of_both_runs(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text("".join(whole.splitlines(keepends=True)[:3]))
    code, out, err = call("check", "zoo", "--resume", file)
    assert (code, lines(out), err) == (2, lines(call("check", "zoo")[1]), call("check", "zoo")[2])


def test_lines_of_other_settings_are_not_taken(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text(whole)
    code, out, err = call("check", "zoo", "--resume", file, "--cpu", "x86-sse")
    assert (code, out) == (2, "") and "checked with other settings, options or another version of xnnlint" in err
    assert file.read_text() == whole


@pytest.mark.parametrize("text", ["hello\n", "hello", '{"path": 3}\n', "\n", "[]\n"])
def test_another_file_stays_as_it_is(zoo, call, text):
    file = zoo / "notes.txt"
    file.write_text(text)
    code, out, err = call("check", "zoo", "--resume", file)
    assert (code, out, file.read_text()) == (2, "", text)
    assert f"{file}:1: this is no line of" in err


def test_a_line_that_is_there_twice_is_refused(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text(whole + whole.splitlines(keepends=True)[0])
    code, _, err = call("check", "zoo", "--resume", file)
    assert code == 2 and f"{file}:7: this is another line of zoo/bad.tflite" in err


def test_lines_of_models_that_are_gone_stay_and_are_told(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text(whole)
    (zoo / "zoo" / "bad.tflite").unlink()
    code, out, err = call("check", "zoo", "--resume", file, "--format", "jsonl")
    assert code == 1 and len(out.splitlines()) == 5 and "1 lines are of models that are not among these" in err
    assert file.read_text() == whole


def test_two_runs_do_not_write_one_file(zoo, call, whole):
    from xnnlint.file_lock import lock

    file = zoo / "zoo.jsonl"
    file.write_text("")
    with file.open("rb") as stream:
        assert lock(stream.fileno())
        code, _, err = call("check", "zoo", "--resume", file)
    assert code == 2 and "another xnnlint is writing it" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scheduler", "tcp://h:1"], "--scheduler goes with --engine dask"),
        (["--resume", "zoo.jsonl", "--format", "sarif"], "text, jsonl or parquet"),
        (["--engine", "dask", "--baseline", "b.json"], "without --baseline"),
        (["--engine", "dask", "--watch"], "--watch checks here"),
    ],
)
def test_what_does_not_go_together_is_said(zoo, call, arguments, said):
    assert call("check", "zoo", "--baseline", "b.json", "--write-baseline")[0] == 2
    code, _, err = call("check", "zoo", *arguments)
    assert code == 2 and said in err


def test_a_cluster_of_this_machine_says_what_a_local_run_says(zoo, call, whole):
    pytest.importorskip("distributed")
    code, out, err = call("check", "zoo", "--engine", "dask", "--jobs", "2", "--format", "jsonl")
    assert (code, lines(out)) == (2, lines(whole))
    assert err == call("check", "zoo", "--format", "jsonl")[2]
    assert json.loads(out.splitlines()[0])["path"].startswith("zoo/")


@pytest.mark.judge
def test_a_cluster_verifies_as_a_local_run_does(zoo, call):
    pytest.importorskip("distributed")
    local = call("verify", "zoo", "--format", "json", "--seeds", "1")
    code, out, err = call("verify", "zoo", "--format", "json", "--seeds", "1", "--engine", "dask", "--jobs", "2")
    assert (code, err) == (local[0], local[2])
    expected, document = json.loads(local[1]), json.loads(out)
    assert len(document["models"]) == 5
    for one in (expected, document):
        one["models"].sort(key=lambda model: model["path"])
        for model in one["models"]:
            (model["observed"] or {}).pop("seconds", None)
    assert document == expected
