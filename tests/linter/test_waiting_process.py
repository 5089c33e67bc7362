"""A process that waits for work: what comes back, and how it ends when nobody has any."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xnnlint.linter import waiting_process
from xnnlint.linter.own_process import Died, can_fork
from xnnlint.linter.waiting_process import WaitingProcess

pytestmark = pytest.mark.skipif(not can_fork(), reason="nothing is forked here")
# A process waits there for ever, but for its end.
WAITS = "from xnnlint.linter import waiting_process; import os, time; waiting_process.start(lambda: None)"


def _nothing() -> None:
    pass


def _fail() -> None:
    raise ImportError("numpy is broken")


def _repeat(count: int) -> str:
    return "ab" * count


def _environment(name: str) -> str | None:
    return os.environ.get(name)


def _imported(name: str) -> str:
    return __import__(name).WHO


def _descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def _has_ended(process: int) -> bool:
    """Whether it has, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("count", [0, 1, 1_000_000], ids=["empty", "short", "more than a pipe holds"])
def test_the_answer_comes_back(count):
    done = []
    assert WaitingProcess(_nothing).answer(_repeat, count, lambda: done.append(os.getpid())) == "ab" * count
    assert done == [os.getpid()]


def test_work_larger_than_a_pipe_holds():
    assert WaitingProcess(_nothing).answer(len, "x" * 1_000_000) == 1_000_000


def test_it_prepares_before_it_is_asked(monkeypatch):
    monkeypatch.setenv("XNNLINT_TEST", "before")
    process = WaitingProcess(lambda: os.environ.update(XNNLINT_TEST="prepared"))
    monkeypatch.setenv("XNNLINT_TEST", "after")
    assert process.answer(_environment, "XNNLINT_TEST") == "prepared"


def test_what_fails_while_it_prepares_is_left_to_the_work():
    assert WaitingProcess(_fail).answer(_repeat, 1) == "ab"


def test_it_finds_modules_that_were_beside_it_later(tmp_path, monkeypatch):
    process = WaitingProcess(_nothing)
    (tmp_path / "beside_it_later.py").write_text("WHO = 'a module of the configuration'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert process.answer(_imported, "beside_it_later") == "a module of the configuration"


def test_one_that_died_while_it_prepared_is_told():
    process = WaitingProcess(lambda: os._exit(7))
    assert process.answer(_repeat, 1_000_000) == Died("ended with exit code 7")


def test_one_without_work_is_ended_and_nothing_is_left_of_it():
    before = _descriptors()
    waiting_process.start(lambda: time.sleep(60))
    number = waiting_process._waiting[0]._process._number
    start = time.monotonic()
    waiting_process.end()
    assert time.monotonic() - start < 20
    assert _descriptors() == before
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    waiting_process.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_the_program_is_killed(number):
    code = f"{WAITS}; print(waiting_process._waiting[0]._process._number, flush=True); time.sleep(60)"
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    waiting = int(program.stdout.readline())
    program.send_signal(number)
    assert program.wait(20) == -number
    until = time.monotonic() + 20
    while not _has_ended(waiting) and time.monotonic() < until:
        time.sleep(0.01)
    assert _has_ended(waiting)
    program.stdout.close()
