"""Commands on models in a bucket, against a real server of S3 that runs here (moto's)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from tests.s3_server import BUCKET, s3_server

FILES = {
    "half.tflite": "guide_half.tflite",
    "team/sparse.keras": "guide_sparse.keras",
    "team/new/sparse.tflite": "guide_sparse.tflite",
}


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with s3_server() as environment:
        yield environment


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """A bucket, and the same files in the current folder."""
    import s3fs

    for name, value in server.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # which keeps what earlier tests had in their environment
    fs = s3fs.S3FileSystem(skip_instance_cache=True)
    folder = tmp_path / "zoo"
    for name, source in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURES / source, folder / name)
        fs.put(str(folder / name), f"{BUCKET}/{name}")
    (folder / "film.tflite").write_bytes(b"\x89PNG" + bytes(1000))
    fs.put(str(folder / "film.tflite"), f"{BUCKET}/film.tflite")
    monkeypatch.chdir(folder)
    return f"s3://{BUCKET}"


@pytest.fixture
def call(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *map(str, arguments))


def plain(out: str, form: str) -> object:
    """What is printed, without what has to be different: in a bucket folders are called by its name, too."""
    if form != "json":
        return out
    document = json.loads(out)
    document["summary"].pop("folders")
    return document


@pytest.mark.parametrize("form", ["json", "concise", "markdown", "junit"])
def test_a_bucket_is_checked_as_a_folder_is(bucket, call, form):
    code, out, err = call("check", bucket, "--format", form)
    here = call("check", ".", "--format", form)
    assert (code, err.replace(f"{bucket}/", "")) == (here[0], here[2])
    assert plain(out.replace(f"{bucket}/", ""), form) == plain(here[1], form)
    assert code == 2 and f"{bucket}/film.tflite: this is a picture" in err and "/tmp" not in out + err


def test_several_processes_and_one_say_the_same(bucket, call):
    alone = call("check", f"{bucket}/**/*", "--format", "json")
    assert len(json.loads(alone[1])["models"]) == 4
    assert call("check", f"{bucket}/**/*", "--format", "json", "--jobs", "2") == alone


def test_sarif_has_the_address(bucket, call):
    _, out, _ = call("check", f"{bucket}/half.tflite", "--format", "sarif")
    (result,) = json.loads(out)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == f"{bucket}/half.tflite" and "uriBaseId" not in place


def test_other_commands_take_addresses(bucket, call, tmp_path):
    code, out, _ = call("compare", f"{bucket}/half.tflite", f"{bucket}/team/new/sparse.tflite", "--format", "json")
    document = json.loads(out)
    assert (code, document["before"]["path"]) == (0, f"{bucket}/half.tflite")
    assert call("report", f"{bucket}/half.tflite", "-o", tmp_path / "page.html", "--fix")[0] == 0
    assert f"{bucket}/half.tflite" in (tmp_path / "page.html").read_text()


@pytest.mark.judge
def test_verify_runs_what_is_in_a_bucket(bucket, call):
    code, out, err = call("verify", bucket, "--format", "json", "--seeds", "1")
    models = {model["path"]: model for model in json.loads(out)["models"]}
    assert {path: model["agrees"] for path, model in models.items()} == {
        f"{bucket}/film.tflite": None,
        f"{bucket}/half.tflite": True,
        f"{bucket}/team/new/sparse.tflite": True,
    }
    assert (code, err.count("\n")) == (2, 1) and "/tmp" not in out + err


def test_a_baseline_knows_addresses_again(bucket, call, tmp_path):
    baseline = tmp_path / "baseline.json"
    assert call("check", f"{bucket}/half.tflite", "--baseline", baseline, "--write-baseline")[0] == 0
    assert list(json.loads(baseline.read_text())["models"]) == [f"{bucket}/half.tflite"]
    code, _, err = call("check", f"{bucket}/half.tflite", "--baseline", baseline)
    assert (code, err) == (0, "")
    # Another run does not ask whether it is still there.
    assert "half" not in call("check", f"{bucket}/team", "--baseline", baseline)[2]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing.tflite", "nothing is there, or it may not be seen"),
        ("*.h5", "no model matches this pattern"),
        ("half.tflite", "no credentials were found for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_what_is_wrong_is_one_sentence(bucket, call, path, said, monkeypatch):
    if "credentials" in said:
        import s3fs

        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        s3fs.S3FileSystem.clear_instance_cache()
    code, out, err = call("check", f"{bucket}/{path}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{bucket}/{path}: {said}" in err


def test_a_bucket_that_is_not_there(bucket, call):
    code, _, err = call("check", "s3://another/**/*.tflite")
    assert (code, err.count("\n")) == (2, 1) and "s3://another: nothing is there" in err


def test_the_bound_on_the_size_is_a_setting(bucket, call):
    large = Path("large.tflite")
    large.write_bytes(bytes(4) + b"TFL3" + bytes(2 << 20))
    import s3fs

    s3fs.S3FileSystem(skip_instance_cache=True).put(str(large), f"{BUCKET}/large.tflite")
    code, _, err = call("check", f"{bucket}/large.tflite", "--config", "remote-max-megabytes=1")
    assert code == 2 and "it has 2 MB, and no more than 1 are fetched; --config remote-max-megabytes=3 allows" in err


def test_watching_takes_files(bucket, call):
    code, _, err = call("check", bucket, "--watch")
    assert code == 2 and "--watch takes files and folders" in err


OWN = ("half.tflite", "film.tflite", "team")  # and nothing that another test puts there


def test_a_model_of_another_version_at_its_address_is_checked_again(bucket, call, tmp_path):
    """Of the same size, as weights are that were trained on."""
    import s3fs

    lines = tmp_path / "zoo.jsonl"
    ask = ("check", *(f"{bucket}/{name}" for name in OWN), "--format", "jsonl", "--resume")
    code, out, err = call(*ask, lines)
    assert code == 2 and "anew" not in err
    first = {line["path"]: line for line in map(json.loads, out.splitlines())}
    assert all(line["version"] for line in first.values() if line["error"] is None)

    changed = Path("half.tflite").read_bytes()
    data = bytearray(changed)
    data[data.index(b"conv2d_1")] = ord("C")
    s3fs.S3FileSystem(skip_instance_cache=True).pipe(f"{BUCKET}/half.tflite", bytes(data))
    code, out, err = call(*ask, lines)
    # The one that is no model is tried again, too.
    assert code == 2 and f"{lines}: 2 lines are made anew" in err
    second = {line["path"]: line for line in map(json.loads, out.splitlines())}
    assert {path for path in first if first[path] != second[path]} == {f"{bucket}/half.tflite"}
    assert second[f"{bucket}/half.tflite"]["bytes"] == len(changed)
    assert sorted(map(json.loads, lines.read_text().splitlines()), key=lambda line: line["path"]) == sorted(
        second.values(), key=lambda line: line["path"]
    )


@pytest.mark.judge
def test_verify_of_a_bucket_goes_on(bucket, call, tmp_path):
    lines = tmp_path / "verified.jsonl"
    ask = ("verify", *(f"{bucket}/{name}" for name in OWN), "--seeds", "1", "--format", "jsonl", "--resume")
    whole = call(*ask, lines)
    assert whole[0] == 2 and len(whole[1].splitlines()) == 3
    code, out, err = call(*ask, lines)
    assert (code, sorted(out.splitlines())) == (2, sorted(whole[1].splitlines()))
    assert f"{lines}: 1 line is made anew" in err


def test_what_to_type_next_takes_an_address_or_is_for_a_copy(bucket, call):
    import s3fs

    fs = s3fs.S3FileSystem(skip_instance_cache=True)
    fs.put(str(FIXTURES / "guide_dense_zeros.tflite"), f"{BUCKET}/next/zeros.tflite")
    fs.put(str(FIXTURES / "guide_unpruned.tflite"), f"{BUCKET}/next/unpruned.tflite")
    for name, command, why in (
        ("team/new/sparse.tflite", f"xnnlint verify {bucket}/team/new/sparse.tflite", "runs it in LiteRT"),
        ("team/new/sparse.tflite", "xnnlint bench sparse.tflite", "times it, sparse and dense; on a copy: download it"),
        ("team/sparse.keras", "xnnlint convert sparse.keras -o model.tflite", "on a copy: download it first"),
        ("next/zeros.tflite", "xnnlint fix zeros.tflite -o fixed.tflite", "on a copy: download it first"),
        ("next/unpruned.tflite", f"xnnlint check {bucket}/next/unpruned.tflite --assume-pruned 0.8", "pruning to 80%"),
    ):
        (_, _, steps) = call("check", f"{bucket}/{name}")[1].partition("\nNext:\n")
        assert f"  {command}\n" in steps or f"  {command}  " in steps, steps
        assert why in " ".join(steps.split())


@pytest.mark.parametrize("command", [("fix",), ("fix", "-o", "x.tflite"), ("convert", "-o", "x.tflite"), ("bench",)])
def test_what_takes_no_address_says_so(call, command):
    (name, *more) = command
    code, out, err = call(name, "s3://zoo/half.tflite", *more)
    sentence = "s3://zoo/half.tflite: this is an address, and files alone are read here; download it first"
    assert (code, out, err) == (2, "", f"xnnlint: error: {sentence}\n")
