"""One child process that answers JSON lines, with time limits, and crashes told apart from errors."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xnnlint.errors import XnnlintError

LOG_LINES = 6


class ChildEnded(XnnlintError):
    """The child died. `crash` names the signal, or the exit code where there was none."""

    def __init__(self, crash: str, log: str) -> None:
        self.crash = crash
        self.log = log
        super().__init__(f"{crash}: {log}" if log else crash)


class ChildTimeout(XnnlintError):
    """No answer within the time limit."""


class Child:
    """A running child. `log` is the file that receives its standard error.

    Args:
        command: the program and its arguments.
        log: a file to write (its folder exists); one per child.
        environment: the child's environment, or None to inherit ours.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.jobs = 0
        self.rss_kib = 0
        self._mark = 0
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env=None if environment is None else dict(environment),
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def mark_log(self) -> None:
        """What the child logged until now is of no interest to the next job."""
        self._mark = self.log.stat().st_size

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises nothing if the child is gone: receive() will tell."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next answer.

        Raises:
            ChildTimeout: none came within `timeout` seconds; the child is killed.
            ChildEnded: the child died.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise ChildTimeout(f"no answer within {timeout:g} seconds") from None
        if line is None:
            raise ChildEnded(describe_exit(self._process.wait()), self.log_tail())
        answer: dict[str, Any] = json.loads(line)
        self.rss_kib = answer.pop("rss_kib", 0)
        return answer

    def log_tail(self) -> str:
        """The last lines that the runtime logged since mark_log(), without its chatter."""
        with self.log.open("rb") as file:
            file.seek(self._mark)
            text = file.read().decode("utf-8", "replace")
        return " | ".join(informative(text.splitlines())[-LOG_LINES:])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let the child end by itself, and insist after a moment."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()


def informative(lines: Sequence[str]) -> list[str]:
    """The log lines worth showing: not what the runtime prints for every model, not twice the same."""
    chatter = ("INFO:", "W0000", "I0000", "qemu: uncaught target signal")
    kept: list[str] = []
    for line in (line.strip() for line in lines):
        boring = not line or line.startswith(chatter) or "Sparsity tensors may not yet" in line
        if not boring and "accelerator could not be loaded" not in line and line not in kept:
            kept.append(line)
    return kept


def describe_exit(code: int) -> str:
    """SIGSEGV and the like by name. Emulators and shells report a signal as 128 + number."""
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"
