"""A single model in a process of its own: what comes back, and what is said of a process that ends."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from xnnlint.linter import own_process
from xnnlint.linter.own_process import Died, can_fork, in_own_process

pytestmark = pytest.mark.skipif(not can_fork(), reason="nothing is forked here")


def _repeat(count: int) -> str:
    return "ab" * count


def _kill(number: int) -> None:
    faulthandler.disable()
    os.kill(os.getpid(), number)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def _with_a_child_that_stays(seconds: int) -> int:
    if not os.fork():
        # It has the pipe for the answer, too.
        time.sleep(seconds)
        os._exit(0)
    return seconds


def _children() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


@pytest.mark.parametrize("count", [0, 1, 1_000_000], ids=["empty", "short", "more than a pipe holds"])
def test_the_answer_comes_back(count):
    assert in_own_process(_repeat, count) == "ab" * count


def test_something_is_done_meanwhile():
    done = []
    assert in_own_process(_repeat, 1, lambda: done.append(os.getpid())) == "ab"
    assert done == [os.getpid()]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGBUS", "SIGTERM"])
def test_a_signal_is_named(name):
    found = in_own_process(_kill, int(signal.Signals[name]))
    assert isinstance(found, Died)
    assert found.how.startswith(f"ended by {name}")


def test_an_exit_code_is_named():
    assert in_own_process(os._exit, 7) == Died("ended with exit code 7")
    assert in_own_process(os._exit, 0) == Died("ended with exit code 0")


def test_what_cannot_be_handed_over_is_a_mistake_of_ours():
    found = in_own_process(lambda piece: lambda: piece, 1)
    assert isinstance(found, Died)
    assert found.how.startswith("failed, which is a bug in xnnlint (")


def test_what_ends_the_program_ends_the_process_alone():
    assert in_own_process(lambda code: sys.exit(code), 0) == Died("ended with exit code 1")


def test_what_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(own_process, "MOST_SECONDS", 0.2)
    start = time.monotonic()
    assert in_own_process(_sleep, 60) == Died("did not end within 0.00333333 minutes")
    assert time.monotonic() - start < 20
    assert _children() == 0


def test_a_process_that_the_work_started_is_not_waited_for():
    start = time.monotonic()
    assert in_own_process(_with_a_child_that_stays, 30) == 30
    assert time.monotonic() - start < 20


def test_an_interrupt_ends_it_at_once():
    def interrupt() -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_own_process(_sleep, 60, interrupt)
    assert time.monotonic() - start < 20
    assert _children() == 0


def test_a_program_with_many_files_open(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("so many files cannot be open here")
    with ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1030):
            files.enter_context(Path(os.devnull).open())
        assert in_own_process(_repeat, 1) == "ab"


@pytest.mark.parametrize("given", [None, "3"])
def test_numpy_is_imported_without_threads_and_the_environment_stays(given):
    code = (
        "import os; from xnnlint.numpy_import import import_numpy; import_numpy(); "
        "print(os.environ.get('OPENBLAS_NUM_THREADS'), len(os.listdir('/proc/self/task')))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    environment |= {"OPENBLAS_NUM_THREADS": given} if given else {}
    words = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    left, threads = words.stdout.split()
    assert left == str(given)
    assert threads == "1" or given
