"""Files are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xnnlint import atomic
from xnnlint.errors import XnnlintError


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
