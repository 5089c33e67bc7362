"""One piece of work in a process of its own, so that what ends the process costs that piece alone.

A fork and a pipe: importing multiprocessing, which `jobs` does for many pieces, would take a tenth of a small check.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

MOST_SECONDS = 1800.0
"""What one piece of work may take. It is there to end what hangs, not what is slow: models of 100,000 operators take
minutes (docs/scaling.md), and on a busy machine several times as long."""
_SIZE_BYTES = 8
_REASONS = {
    "SIGBUS": ": the file became shorter while it was read",
}


class Died(NamedTuple):
    """What comes instead of a result where the process ended in the middle: how, in a user's words."""

    how: str


def can_fork() -> bool:
    """Whether a fork is safe: it is there at once, with everything imported."""
    return sys.platform == "linux"


def in_own_process(work: Callable[[Any], Any], piece: Any, meanwhile: Callable[[], None] | None = None) -> Any:
    """What `work` returns for one piece, or `Died`.

    Args:
        work: what it returns must be picklable, and it must raise nothing.
        meanwhile: is called here while the process works.
    """
    return OwnProcess(lambda: work(piece)).answer(meanwhile)


class OwnProcess:
    """A process from its fork until its answer was read, or is not wanted any more.

    Args:
        serve: what it does; what this returns is its answer, as for `in_own_process`.
    """

    def __init__(self, serve: Callable[[], Any]) -> None:
        for stream in (sys.stdout, sys.stderr):
            # What waits in their buffers would be written twice; a stream may be missing, closed or broken.
            with contextlib.suppress(AttributeError, ValueError, OSError):
                stream.flush()
        self._reading, writing = os.pipe()
        self._number = os.fork()
        if not self._number:
            os.close(self._reading)
            _serve_once(serve, writing)
        os.close(writing)

    def answer(self, meanwhile: Callable[[], None] | None = None) -> Any:
        """What it returned, or `Died`; it has ended then."""
        import pickle
        import select

        answer, in_time = None, False
        try:
            with open(self._reading, "rb") as pipe:  # noqa: PTH123
                if meanwhile is not None:
                    meanwhile()
                # select takes no descriptor above 1023, and a program of somebody else's may have opened as many.
                ready = select.poll()
                ready.register(pipe, select.POLLIN)
                in_time = bool(ready.poll(MOST_SECONDS * 1000))
                size = int.from_bytes(pipe.read(_SIZE_BYTES) if in_time else b"", "little")
                # Not up to its end: a process that the work has started would keep it open.
                answer = pipe.read(size)
        finally:
            code = self._ended(kill=not answer)
        if not in_time:
            return Died(overdue())
        return pickle.loads(answer) if answer and not code else Died(ending(code))

    def end(self) -> None:
        """Whatever it does, its answer is not wanted."""
        os.close(self._reading)
        self._ended(kill=True)

    def _ended(self, *, kill: bool) -> int:
        if kill:
            os.kill(self._number, signal.SIGKILL)
        _, status = os.waitpid(self._number, 0)
        return os.waitstatus_to_exitcode(status)


def _serve_once(serve: Callable[[], Any], writing: int) -> NoReturn:
    """The life of the process; whatever happens, it never gets back into what the parent was doing."""
    import pickle

    code = 1
    try:
        be_a_child()
        try:
            answer = pickle.dumps(serve(), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            answer = pickle.dumps(failed(error))
        with contextlib.suppress(OSError), open(writing, "wb") as pipe:
            pipe.write(len(answer).to_bytes(_SIZE_BYTES, "little") + answer)
        code = 0
    finally:
        os._exit(code)


def be_a_child() -> None:
    """What every process that works for another does first."""
    # Ctrl-C reaches the whole group; the parent is who ends it, and then ends these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Reports are the parent's to print: what code of others prints here must not get between them.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(2, 1)


def failed(error: Exception) -> Died:
    """A mistake of ours, or whatever pickle raises of what it meets.

    Raises:
        Exception: the same, where XNNLINT_DEBUG asks for it.
    """
    if os.environ.get("XNNLINT_DEBUG"):
        raise error
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return Died(f"failed, which is a bug in xnnlint ({reason})")


def overdue() -> str:
    """How a process ended that took too long, in a user's words."""
    return f"did not end within {MOST_SECONDS / 60:g} minutes"


def ending(code: int | None) -> str:
    """How a process ended, in a user's words.

    Args:
        code: its exit code, negative of a signal; None where it did not end.
    """
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"ended by {name}{_REASONS.get(name, '')}"
    return f"ended with exit code {code}"
