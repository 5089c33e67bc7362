"""Files are written as a whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import ROOT
from xnnlint import atomic
from xnnlint.errors import XnnlintError
from xnnlint.loaders.model_names import is_model_file
from xnnlint.plain_files import DRAFT


def test_a_new_file_has_the_permissions_that_any_program_gives(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    atomic.write(b"data", tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"data"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_permissions_stay_and_a_copy_keeps_them(tmp_path):
    target = tmp_path / "model"
    target.write_bytes(b"before")
    target.chmod(0o640)
    atomic.write(b"after", target, tmp_path / "model.bak")
    assert target.read_bytes() == b"after" and target.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "model.bak").read_bytes() == b"before"
    assert (tmp_path / "model.bak").stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.bak"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    (tmp_path / "link").symlink_to("file")
    atomic.write(b"after", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"after"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_write_leaves_everything_as_it_was(function, tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if function == "fsync" else (Path, "replace")), full)
    with pytest.raises(XnnlintError, match="not written: No space left"):
        atomic.write(b"after", target)
    assert target.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_draft_that_is_not_committed_leaves_nothing(tmp_path):
    with atomic.draft(tmp_path / "model.tflite") as name:
        assert Path(name).parent == tmp_path and name.endswith(".tflite")
        Path(name).write_bytes(b"half")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["", "missing/model"])
def test_what_cannot_be_written_is_said(target, tmp_path):
    with pytest.raises(XnnlintError):
        atomic.write(b"", tmp_path / target)


def test_backups_are_numbered_and_never_overwritten(tmp_path):
    target, backup = tmp_path / "model", tmp_path / "model.bak"
    backup.write_bytes(b"somebody's own")
    for number, content in enumerate((b"first", b"second")):
        target.write_bytes(content)
        assert atomic.write(b"fixed", target, backup) == f"{backup}.{number + 1}"
    assert backup.read_bytes() == b"somebody's own"
    assert [(tmp_path / f"model.bak.{n}").read_bytes() for n in (1, 2)] == [b"first", b"second"]


@pytest.mark.parametrize("backup", ["", "model.bak"])
def test_a_file_that_was_changed_since_it_was_read_is_not_replaced(backup, tmp_path):
    target = tmp_path / "model"
    target.write_bytes(b"read")
    kept = tmp_path / backup if backup else ""
    with pytest.raises(XnnlintError, match="changed by somebody else"), atomic.replacing(target):
        target.write_bytes(b"exported again")
        atomic.write(b"fixed", target, kept)
    assert target.read_bytes() == b"exported again" and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_one_process_at_a_time_works_on_a_file(tmp_path):
    target = tmp_path / "model"
    target.write_bytes(b"read")
    code = "import sys; from xnnlint import atomic\nwith atomic.replacing(sys.argv[1]): pass"
    command = [sys.executable, "-c", code, str(target)]
    with atomic.replacing(target):
        second = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert second.returncode and "another xnnlint is writing it" in second.stderr
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def test_what_a_killed_run_left_goes_with_the_next_and_no_search_finds_it(tmp_path):
    stale = tmp_path / f"{DRAFT}abc.tflite"
    stale.write_bytes(b"half")
    with atomic.draft(tmp_path / "model.tflite") as mine:
        assert not stale.exists()
        with atomic.draft(tmp_path / "other.tflite"):
            assert Path(mine).exists()  # Somebody works on it.
        assert not is_model_file(Path(mine).name) and is_model_file("model.tflite")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_group_stay(tmp_path):
    target = tmp_path / "model"
    target.write_bytes(b"read")
    os.chown(target, 1234, 2345)
    atomic.write(b"fixed", target, tmp_path / "model.bak")
    for path in (target, tmp_path / "model.bak"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
