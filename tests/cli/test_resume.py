"""A run that was stopped goes on from its lines; and a run on a cluster says what one here says."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile

import jsonschema
import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.reporters.json_document import published_schema

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
    # What is complete stays as it is, but for what could not be read.
    code, _, err = call("check", "zoo", "--resume", file, "--format", "jsonl")
    assert code == 2 and f"{file}: 1 line is made anew: its model has changed, or could not be read" in err
    assert lines(file.read_text()) == lines(whole)
    (zoo / "zoo" / "bad.tflite").unlink()
    file.write_text("".join(line for line in whole.splitlines(keepends=True) if "bad.tflite" not in line))
    before = file.read_bytes()
    assert call("check", "zoo", "--resume", file, "--format", "jsonl")[0] == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize(("name", "by"), [("guide_half.tflite", "guide_sparse.tflite"), ("bad.tflite", NAMES[0])])
def test_a_model_that_was_written_since_is_checked_again(zoo, call, whole, name, by):
    file = zoo / "zoo.jsonl"
    file.write_text(whole)
    shutil.copy(FIXTURES / by, zoo / "zoo" / name)
    code, out, err = call("check", "zoo", "--resume", file, "--format", "jsonl")
    fresh = call("check", "zoo", "--format", "jsonl")
    assert (code, lines(out)) == (fresh[0], lines(fresh[1])) and lines(out) != lines(whole)
    assert lines(file.read_text()) == lines(fresh[1])
    # It, and the one that could not be read.
    assert ("2 lines are made anew: their models have changed" in err) == (name != "bad.tflite")


def test_an_architecture_is_checked_again_since_its_weights_are_in_another_file(zoo, call):
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as archive:
        (zoo / "zoo" / "net.json").write_bytes(archive.read("config.json"))
    file = zoo / "zoo.jsonl"
    ask = ("check", "zoo/net.json", "--resume", file, "--format", "jsonl")
    assert "anew" not in call(*ask)[2]
    before = file.read_text()
    assert "1 line is made anew" in call(*ask)[2]
    assert file.read_text() == before


def test_a_run_that_is_killed_while_it_takes_lines_out_loses_none(zoo, call, whole, monkeypatch):
    file = zoo / "zoo.jsonl"
    file.write_text(whole)

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xnnlint.cli.resume.commit", killed)
        assert call("check", "zoo", "--resume", file)[0] == 130
    assert file.read_text() == whole and {entry.name for entry in zoo.iterdir()} == {"zoo", "zoo.jsonl"}
    assert lines(call("check", "zoo", "--resume", file, "--format", "jsonl")[1]) == lines(whole)


def test_the_table_has_the_models_of_both_runs(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text("".join(whole.splitlines(keepends=True)[:3]))
    code, out, err = call("check", "zoo", "--resume", file)
    assert (code, lines(out)) == (2, lines(call("check", "zoo")[1]))
    anew, complaint = err.splitlines(keepends=True)
    assert "1 line is made anew" in anew and complaint == call("check", "zoo")[2]


def test_lines_of_other_settings_are_not_taken(zoo, call, whole):
    file = zoo / "zoo.jsonl"
    file.write_text(whole)
    code, out, err = call("check", "zoo", "--resume", file, "--cpu", "x86-sse")
    assert (code, out) == (2, "") and "is of other settings, options or another version of xnnlint" in err
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
    assert code == 1 and len(out.splitlines()) == 5 and "1 line is of models that are not among these" in err
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


# --- verify ----------------------------------------------------------------------------------------------------------

VERIFY_LINE = jsonschema.Draft202012Validator(published_schema("verify_line"))


def judged(text: str) -> list[dict]:
    """The lines of `verify` by their models, without what time says."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        VERIFY_LINE.validate(line)
        (line["observed"] or {}).pop("seconds", None)
    return sorted(found, key=lambda line: line["path"])


@pytest.fixture
def verified(zoo, call):
    """The lines of a run of `verify` that was not stopped."""
    code, out, err = call("verify", "zoo", "--seeds", "1", "--format", "jsonl")
    assert code == 2 and len(out.splitlines()) == 5
    assert "5 models: 4 agree, 1 not judged; observed: 1 sparse, 3 dense." in err
    return out


@pytest.mark.judge
def test_lines_of_verify_say_what_its_document_says(zoo, call, verified):
    document = json.loads(call("verify", "zoo", "--seeds", "1", "--format", "json")[1])
    models, found = document.pop("models"), [json.loads(line) for line in verified.splitlines()]
    for model, line in zip(models, found, strict=True):
        (model["observed"] or {}).pop("seconds", None), (line["observed"] or {}).pop("seconds", None)
        assert model.items() <= line.items() and document.items() <= line.items()
        data = (zoo / line["path"]).read_bytes()
        assert line["sha256"] == (None if line["error"] else hashlib.sha256(data).hexdigest())
    assert [line["exit_code"] for line in found] == [2, 0, 0, 0, 0]


@pytest.mark.judge
@pytest.mark.parametrize("engine", [(), ("--engine", "dask", "--jobs", "2")])
def test_a_verify_that_was_stopped_goes_on(zoo, call, verified, engine):
    if engine:
        pytest.importorskip("distributed")
    file = zoo / "verified.jsonl"
    kept = [line for line in verified.splitlines(keepends=True) if "bad.tflite" not in line][:2]
    file.write_text("".join(kept) + '{"schema_version":1,"to')
    code, out, _ = call("verify", "zoo", "--seeds", "1", "--format", "jsonl", "--resume", file, *engine)
    assert (code, judged(out)) == (2, judged(verified))
    assert judged(file.read_text()) == judged(verified)
    assert out.startswith("".join(kept)), "with their own times: these were not run again"


@pytest.mark.judge
def test_verify_runs_again_what_was_written_since_or_could_not_be_read(zoo, call, verified):
    file = zoo / "verified.jsonl"
    file.write_text(verified)
    shutil.copy(FIXTURES / "guide_sparse.tflite", zoo / "zoo" / "guide_half.tflite")
    shutil.copy(FIXTURES / "guide_sparse.tflite", zoo / "zoo" / "bad.tflite")
    code, out, err = call("verify", "zoo", "--seeds", "1", "--resume", file)
    assert (code, err) == (
        0,
        f"xnnlint: warning: {file}: 2 lines are made anew: their models have changed, or could not be read\n",
    )
    assert out.startswith("zoo/guide_int8.tflite: agrees: dense") and out.endswith(
        "5 models: 5 agree; observed: 3 sparse, 2 dense.\n"
    )
    # A page of what ran, a line of what is known.
    assert [line.split(" ")[0] for line in out.splitlines() if " agrees: " in line] == [
        "zoo/guide_int8.tflite:",
        "zoo/guide_sparse.tflite:",
        "zoo/guide_unpruned.tflite:",
        "zoo/bad.tflite:",
        "zoo/guide_half.tflite:",
    ]
    assert out.count("\n  run  ") == 2
    assert judged(file.read_text()) == judged(call("verify", "zoo", "--seeds", "1", "--format", "jsonl")[1])


@pytest.mark.judge
def test_lines_of_another_command_or_other_settings_are_not_taken(zoo, call, whole, verified):
    file = zoo / "verified.jsonl"
    for text, command, said in (
        (whole, ("verify", "zoo"), ":1: this is no line of `xnnlint verify --format jsonl`"),
        (verified, ("check", "zoo"), ":1: this is no line of `xnnlint check --format jsonl`"),
        (verified, ("verify", "zoo"), "is of other settings, options or another version of xnnlint"),
    ):
        file.write_text(text)
        code, out, err = call(*command, "--resume", file)
        assert (code, out, file.read_text()) == (2, "", text) and said in err
