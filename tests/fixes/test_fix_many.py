"""xnnlint fix on several models, as a hook calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest

from tests.models import FIXTURES
from xnnlint import loaders
from xnnlint.cli import app as cli
from xnnlint.reporters import json_document

HOOK = ("--in-place", "--no-backup", "--fix-only", "--exit-non-zero-on-fix")


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A folder with a model to fix, one that is right, one that needs training, and one that cannot be read."""
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as old, zipfile.ZipFile(tmp_path / "pool.keras", "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member).replace(b'"keepdims": true', b'"keepdims": false'))
    shutil.copy(FIXTURES / "guide_sparse.keras", tmp_path / "right.keras")
    (tmp_path / "bad.keras").write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fix(capsys, monkeypatch):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xnnlint", "fix", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


def test_each_is_fixed_and_one_bad_file_never_stops_the_rest(models, fix):
    code, out, err = fix("bad.keras", "pool.keras", "right.keras", "--in-place")
    assert code == 2
    assert err.startswith("xnnlint: error: bad.keras: ") and err.count("\n") == 1
    assert "pool.keras: 1 change" in out and "right.keras: nothing to change" in out
    assert sorted(p.name for p in models.iterdir()) == ["bad.keras", "pool.keras", "pool.keras.bak", "right.keras"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere models are read in one process")
def test_a_file_that_ends_its_reader_costs_a_sentence(models, fix, monkeypatch):
    parent, plain = os.getpid(), loaders.load

    def load(path, **options):
        if str(path) == "bad.keras" and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGBUS)
        return plain(path, **options)

    monkeypatch.setattr(loaders, "load", load)
    code, out, err = fix("bad.keras", "pool.keras", "--in-place")
    words = "bad.keras: the process that read it ended by SIGBUS: the file became shorter while it was read"
    assert (code, err) == (2, f"xnnlint: error: {words}\n")
    assert "pool.keras: 1 change" in out


def test_a_hook_fails_when_something_was_fixed_and_keeps_no_copies(models, fix):
    code, out, _ = fix("pool.keras", "right.keras", *HOOK)
    assert code == 1
    assert "set keepdims=True" in out and "right.keras" not in out
    assert not list(models.glob("*.bak"))
    assert fix("pool.keras", "right.keras", *HOOK) == (0, "", "")


def test_what_cannot_be_fixed_is_not_the_hooks_to_tell(models, fix):
    # A stem padded on two sides needs an unsafe fix.
    data = (FIXTURES / "guide_sparse.keras").read_bytes()
    with zipfile.ZipFile(FIXTURES / "guide_sparse.keras") as old, zipfile.ZipFile("stem.keras", "w") as new:
        for member in old.namelist():
            config = json.loads(old.read(member)) if member == "config.json" else None
            if config is not None:
                pad = next(e for e in config["config"]["layers"] if e["class_name"] == "ZeroPadding2D")
                pad["config"]["padding"] = [[0, 1], [0, 1]]
            new.writestr(member, old.read(member) if config is None else json.dumps(config))
    assert fix("stem.keras", "--in-place")[0] == 1
    assert fix("stem.keras", *HOOK) == (0, "", "")
    assert (FIXTURES / "guide_sparse.keras").read_bytes() == data


def valid(document):
    """A document of fix that follows its published schema."""
    jsonschema.Draft202012Validator(json_document.published_schema("fix")).validate(document)
    return document


def test_json_has_one_form_for_one_model_and_for_several_of_both_kinds(models, fix):
    shutil.copy(FIXTURES / "guide_dense_zeros.tflite", models / "zeros.tflite")
    code, out, _ = fix("pool.keras", "right.keras", "zeros.tflite", "--diff", "--format", "json")
    assert code == 0
    told = valid(json.loads(out))["models"]
    assert [len(model["changes"]) for model in told] == [1, 0, 2]
    assert [model["format"] for model in told] == ["keras", "keras", "tflite"]
    assert valid(json.loads(fix("pool.keras", "--diff", "--format", "json")[1]))["models"] == told[:1]


def test_json_names_what_could_not_be_fixed(models, fix):
    code, out, err = fix("pool.keras", "bad.keras", "--diff", "--format", "json")
    assert code == 2
    good, bad = valid(json.loads(out))["models"]
    assert good["error"] is None
    assert (bad["path"], bad["exit_code"]) == ("bad.keras", 2)
    assert err == f"xnnlint: error: {bad['error']}\n"
    assert json.loads(fix("bad.keras", "--in-place", "--format", "json")[1])["models"][0]["error"] == bad["error"]


def test_a_folder_that_is_missing_is_reported_before_any_work(models, fix):
    code, out, err = fix("pool.keras", "-o", "nowhere/out.keras")
    assert (code, out) == (2, "")
    assert err == "xnnlint: error: nowhere/out.keras: cannot be written (its folder does not exist)\n"


def test_one_target_cannot_take_several_models(models, fix):
    code, out, err = fix("pool.keras", "right.keras", "-o", "out.keras")
    assert (code, out) == (2, "")
    assert "takes one model" in err
    assert not Path("out.keras").exists()
