"""`check --watch`: what is written is checked again, once it is whole."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.models import FIXTURES, ROOT
from xnnlint.cli.watching import changed


def looks(folder: Path, *between: Callable[[], object]) -> list[list[str]]:
    """What is found to be written, if that happens between looks."""
    steps = iter(between)

    class Over(Exception):
        pass

    def wait() -> None:
        step = next(steps, None)
        if step is None:
            raise Over
        step()

    found: list[list[str]] = []
    written = changed(lambda: sorted(map(str, folder.glob("*.tflite"))), wait)
    with contextlib.suppress(Over):
        found.extend([Path(path).name for path in paths] for paths in written)
    return found


def nothing() -> None:
    pass


def test_a_file_is_checked_once_it_is_whole(tmp_path: Path) -> None:
    model = tmp_path / "a.tflite"
    model.write_bytes(b"1")
    half, whole = (lambda: model.write_bytes(b"12")), (lambda: model.write_bytes(b"123"))
    assert looks(tmp_path, nothing, nothing) == []
    assert looks(tmp_path, half, whole) == [], "it is still being written"
    assert looks(tmp_path, half, whole, nothing, nothing, nothing) == [["a.tflite"]]


def test_new_replaced_and_lost_files(tmp_path: Path) -> None:
    model, other = tmp_path / "a.tflite", tmp_path / "b.tflite"
    model.write_bytes(b"1")

    def replaced() -> None:
        other.write_bytes(b"12")
        other.replace(model)

    assert looks(tmp_path, replaced, nothing, nothing) == [["a.tflite"]]
    assert looks(tmp_path, lambda: other.write_bytes(b"new"), nothing, nothing) == [["b.tflite"]]
    assert looks(tmp_path, other.unlink, nothing, lambda: other.write_bytes(b"new"), nothing) == [["b.tflite"]]


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_the_program(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    shutil.copy(FIXTURES / "guide_sparse.tflite", model)
    command = [sys.executable, "-u", "-m", "xnnlint", "check", str(tmp_path), "--watch"]
    # Where the tests themselves run in the background, Ctrl-C is ignored, and children would inherit that.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard
    ) as program:
        try:
            assert program.stdout is not None
            assert ": sparse: 2 of 2" in program.stdout.readline()
            assert program.stderr is not None
            assert program.stderr.readline() == "xnnlint: watching; Ctrl-C ends\n"
            shutil.copy(FIXTURES / "guide_dense_zeros.tflite", model)
            assert any(": dense: 0 of 2" in line for line in program.stdout)
            program.send_signal(signal.SIGINT)
            assert program.wait(30) == 130
        finally:
            program.kill()


@pytest.mark.parametrize("arguments", [("-",), (), ("nets:make",)])
def test_only_files_can_be_watched(arguments: tuple[str, ...], capsys, monkeypatch) -> None:
    code, out, err = run(capsys, monkeypatch, "check", *arguments, "--watch")
    assert (code, out) == (2, "")
    assert "--watch takes files and folders as PATH" in err
