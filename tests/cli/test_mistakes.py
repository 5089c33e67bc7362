"""Mistakes that people make, and what each is answered with: what the thing is, and what to type instead."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.models import FIXTURES
from xnnlint.cli import console
from xnnlint.version import __version__

# What is typed (after `xnnlint`), and what stderr says of it.
MISTAKES = [
    ("check net.onnx", "this is an ONNX model; convert it to .tflite, with onnx2tf say, and check that"),
    ("check frozen.pb", "this is a TensorFlow graph; convert it with tf.compat.v1.lite.TFLiteConverter.from_frozen"),
    ("check saved/saved_model.pb", "this is a part of a SavedModel; name its folder: saved"),
    ("check net.pt", "this is a PyTorch file; convert the model to .tflite with litert-torch"),
    ("check net.pth", "this is a PyTorch file; convert the model to .tflite with litert-torch"),
    (
        "check net.mlmodel",
        "this is a Core ML model, which LiteRT does not run; convert the model that it was",
    ),
    ("check net.pte", "this is an ExecuTorch program, which LiteRT does not run"),
    ("check net.safetensors", "these are weights without a model; check the model that they belong to"),
    ("check bundle.task", "this is a MediaPipe bundle, a zip archive of .tflite files; unpack it with `unzip`"),
    ("check ftp://example.org/m.tflite", "ftp:// is no address that models are read from; s3://, gs://, https:// and"),
    ("fix s3://bucket/m.tflite --diff", "this is an address, and files alone are read here; download it first"),
    ("bench s3://bucket/m.tflite", "this is an address, and files alone are read here; download it first"),
    ("check tfjs", "tfjs: this folder holds a TensorFlow.js model; name its file: tfjs/model.json"),
    ("check tfjs/model.json", "tfjs/model.json: this is a TensorFlow.js graph model, which LiteRT does not run"),
    ("check pointer.tflite", "this is a Git LFS pointer, not the model itself; run `git lfs pull`"),
    ("check page.tflite", "this is a web page or XML, not a TFLite model; check where the download came from"),
    ("check empty", "empty: the folder holds no model (.tflite, .keras, .h5, .hdf5)"),
    ("check", "no PATH is given, such as . for this folder"),
    ("model.tflite", "'model.tflite' is a model, not a command; write: xnnlint check model.tflite"),
    ("models/*.tflite", "is a model, not a command; write: xnnlint check 'models/*.tflite'"),
    ("chekc model.tflite", "No such command 'chekc'. Did you mean 'check'?"),
    ("check model.tflite --fix", "no such option: --fix; check changes nothing; write `xnnlint fix MODEL -o OUT`"),
    ("check model.tflite --json", "no such option: --json; write --format json"),
    ("check model.tflite --strict", "no such option: --strict; write --require-sparse, or --fail-on warning"),
    ("check model.tflite --runtime 2.3.0", "unknown runtime '2.3.0'; did you mean litert-2.3? known are"),
    ("check model.tflite --runtime litert-2.2", "unknown runtime 'litert-2.2'; did you mean litert-2.3?"),
    ("check model.tflite --runtime tf-2.19", "unknown runtime 'tf-2.19'; did you mean litert-1.1? known are"),
    ("check model.tflite --runtime tf-2.20", "unknown runtime 'tf-2.20'; did you mean litert-2.0? known are"),
    ("check model.tflite --runtime tensorflow-2.21", "unknown runtime 'tensorflow-2.21'; did you mean tf-2.21? known "),
    ("check model.tflite --runtime tf-2.22", "unknown runtime 'tf-2.22'; known are litert-2.3, "),
    (
        "check model.tflite --runtime org.tensorflow:tensorflow-lite:2.16.1",
        "unknown runtime 'org.tensorflow:tensorflow-lite:2.16.1'; did you mean tf-2.18?",
    ),
    ("check model.tflite --cpu aarch64", "unknown CPU 'aarch64'; did you mean arm64? known are"),
    ("check model.tflite --cpu x86_64", "unknown CPU 'x86_64'; did you mean x86-avx? known are"),
    ("check model.tflite --select XNN999", "--select: no rule 'XNN999'; did you mean XNN90"),
    ("check model.tflite -o other.tflite", "other.tflite: a report would take the place of a model"),
    (
        "check own/model.tflite",
        "own/xnnlint.toml:1: its keys stand without [tool.xnnlint], which is for pyproject",
    ),
    ("fix model.tflite", "say where to write with -o OUT, or --in-place; or only look with --diff"),
    ("fix model.tflite -o model.tflite", "model.tflite is the model itself; --in-place replaces it and keeps a copy"),
    ("fix model.tflite --dry-run", "no such option: --dry-run; write --diff"),
    ("fix net.onnx -o fixed.onnx", "this is an ONNX model; convert it to .tflite"),
    ("convert model.tflite -o new.tflite", "this is a .tflite model already; check, fix and verify take it as it is"),
    ("verify net.onnx", "this is an ONNX model; convert it to .tflite"),
    ("check modle.tflite", "modle.tflite: there is no such file; did you mean model.tflite?"),
    ("check ows/model.tflite", "ows/model.tflite: there is no folder 'ows'; did you mean own?"),
    ("verify modle.tflite", "modle.tflite: there is no such file; did you mean model.tflite?"),
    ("fix modle.keras -o new.keras", "modle.keras: there is no such file; did you mean model.tflite?"),
    ("convert modle.keras -o new.tflite", "modle.keras: there is no such file; did you mean model.tflite?"),
    ("report modle.tflite", "modle.tflite: there is no such file; did you mean model.tflite?"),
    ("compare modle.tflite model.tflite", "modle.tflite: there is no such file; did you mean model.tflite?"),
    ("check notes.md", "notes.md: this is a text file, not a TFLite model; models are .tflite, .keras and .h5 files"),
    ("-v", "no such option: -v; write --version, or `xnnlint check MODEL --verbose`"),
    ("explain XNN10", "nothing to explain by the name 'XNN10'; did you mean"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What people have lying around."""
    model = (FIXTURES / "guide_sparse.tflite").read_bytes()
    for name in ("saved", "tfjs", "empty", "own"):
        (tmp_path / name).mkdir()
    for name in ("net.onnx", "frozen.pb", "saved/saved_model.pb", "net.pt", "net.mlmodel", "net.pte"):
        (tmp_path / name).write_bytes(b"\x08\x07\x12\x04test" * 20)
    (tmp_path / "net.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{}" * 8)
    for name in ("bundle.task", "net.pth"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("data.pkl", b"x")
    (tmp_path / "tfjs/model.json").write_text('{"format": "graph-model", "modelTopology": {}}')
    (tmp_path / "pointer.tflite").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "page.tflite").write_text("<!doctype html><title>404</title>" * 3)
    (tmp_path / "notes.md").write_text("# Notes\n\nof a model\n")
    (tmp_path / "own/xnnlint.toml").write_text('[tool.xnnlint]\nruntime = "litert-2.3"\n')
    for name in ("model.tflite", "own/model.tflite"):
        (tmp_path / name).write_bytes(model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("typed", "answer"), MISTAKES, ids=[typed for typed, _ in MISTAKES])
def test_a_mistake_is_answered_with_what_to_type_instead(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str, answer: str
) -> None:
    code, out, err = run(capsys, monkeypatch, *shlex.split(typed))
    assert (code, out) == (2, "")
    assert answer in err
    assert "xnnlint itself failed" not in err and len(err.splitlines()) <= 4


def test_there_are_thirty_of_them() -> None:
    assert len(MISTAKES) >= 30


def test_settings_of_what_is_not_there_say_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, "config", "gone.tflite")
    assert code == 0 and "runtime = " in out
    assert err.startswith("xnnlint: warning: gone.tflite: there is no such file; ")


def test_content_counts_more_than_a_name(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.onnx").write_bytes((folder / "model.tflite").read_bytes())
    assert run(capsys, monkeypatch, "check", "model.onnx")[0] == 0


def test_a_former_name_of_an_option_still_works(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run(capsys, monkeypatch, "fix", "model.tflite", "--out=new.keras")
    assert (code, err.count("end its name in '.tflite'")) == (2, 1)


def test_errors_are_in_colour_where_colour_is_wanted(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(capsys, monkeypatch, "check", "net.pt")[2].startswith("xnnlint: \x1b[1;31merror\x1b[0m: net.pt: ")


@pytest.mark.parametrize("typed", ["version", "--version", "-V"])
def test_the_version_is_printed_however_it_is_asked_for(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, monkeypatch, typed) == (0, f"xnnlint {__version__}\n", "")


def test_in_a_terminal_an_error_is_wrapped(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe it stays one line, which grep finds."""
    monkeypatch.setenv("COLUMNS", "80")
    _, _, piped = run(capsys, monkeypatch, "check", "notes.md")
    monkeypatch.setattr(console, "_is_terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    code, _, shown = run(capsys, monkeypatch, "check", "notes.md")
    assert code == 2 and piped.count("\n") == 1
    assert [len(line) <= 80 for line in shown.splitlines()] == [True, True]
    assert " ".join(shown.split()) == piped.strip() and shown.splitlines()[1].startswith("  ")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run(capsys, monkeypatch, "check", "notes.md")[2].startswith("xnnlint: \x1b[1;31merror\x1b[0m: notes.md: ")
