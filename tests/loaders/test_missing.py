"""What is said of a path at which there is nothing: what is missing, and which name was meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xnnlint.errors import ModelError
from xnnlint.loaders import load
from xnnlint.loaders.keras.read_file import read


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models beside files that are none."""
    for name in ("mobilenet.tflite", "pose_detection.tflite", "Net.keras", "mobilenet.txt", "mobilenes.md"):
        (tmp_path / "models" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "models" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("models/mobilnet.tflite", "there is no such file; did you mean models/mobilenet.tflite?"),
        ("models/mobilenet", "there is no such file; did you mean models/mobilenet.tflite?"),
        ("models/net.h5", "there is no such file; did you mean models/Net.keras?"),
        ("models/zzz.tflite", "there is no such file"),
        ("model/mobilenet.tflite", "there is no folder 'model'; did you mean models?"),
        ("other/deep/mobilenet.tflite", "there is no folder 'other'"),
        ("zzz.tflite", "there is no such file"),
    ],
)
def test_what_was_meant_is_said(folder: Path, path: str, said: str) -> None:
    for read_it in (load, read):
        with pytest.raises(ModelError) as refused:
            read_it(path)
        assert str(refused.value) == f"{path}: {said}"


def test_a_link_to_nothing_says_where_it_leads(folder: Path) -> None:
    Path("link.tflite").symlink_to("gone.tflite")
    with pytest.raises(ModelError, match=r"link\.tflite: this is a link to 'gone\.tflite', and nothing is there"):
        load("link.tflite")


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_gives_no_suggestion(folder: Path) -> None:
    Path("models").chmod(0o300)
    with pytest.raises(ModelError, match=r"there is no such file$"):
        load("models/mobilnet.tflite")
