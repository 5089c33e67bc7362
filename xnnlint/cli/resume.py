"""A file of JSON Lines that a run adds to, and from which a run that was stopped goes on.

A line is there as a whole or is the last one, which then is dropped and its model checked again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from xnnlint.cli.session import Task
from xnnlint.cli.work import settings_key
from xnnlint.errors import XnnlintError
from xnnlint.file_lock import lock
from xnnlint.reporters.model_row import Checked, row_of


class Resumed:
    """The lines of a file, and the models that are left.

    Args:
        file: it need not be there.
        tasks: all models of the run.

    Attributes:
        left: the models that have no line yet.
        others: lines of models that are not among those of the run; they stay in the file.

    Raises:
        XnnlintError: it cannot be read or written, holds something else, or was made with other settings.
    """

    def __init__(self, file: str, tasks: Sequence[Task]) -> None:
        self._file = file
        self.others = 0
        try:
            # Not "ab": what is half written has to be cut off.
            handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise XnnlintError(f"{file}: cannot be written ({error.strerror})") from None
        self._stream: IO[bytes] = os.fdopen(handle, "r+b", buffering=0)
        try:
            if not lock(handle):
                raise XnnlintError(f"{file}: another xnnlint is writing it")
            self._wanted = Counter(task.request.path for task in tasks)
            self._settings = {task.request.path: settings_key(task) for task in tasks}
            self._end, done = self._read_through()
            self._stream.truncate(self._end)
        except BaseException:
            self._stream.close()
            raise
        self.left = []
        for task in tasks:
            if done[task.request.path]:
                done[task.request.path] -= 1
            else:
                self.left.append(task)

    def known(self) -> Iterator[Checked]:
        """The models of this run that have a line."""
        for text in self._lines():
            record = json.loads(text)
            if record["path"] in self._wanted:
                yield Checked(row_of(record), text.decode().rstrip("\n"))

    def add(self, checked: Checked) -> None:
        """A line more."""
        assert checked.line is not None
        try:
            self._stream.seek(0, os.SEEK_END)
            left = f"{checked.line}\n".encode()
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise XnnlintError(f"{self._file}: not written: {error.strerror or error}") from None

    def close(self) -> None:
        self._stream.close()

    def _read_through(self) -> tuple[int, Counter[str]]:
        """Where the last whole line ends, and how many lines each model has."""
        done: Counter[str] = Counter()
        end = 0
        for number, text in enumerate(self._lines(), 1):
            if not text.endswith(b"\n"):
                if not text.startswith(b'{"schema_version":'[: len(text)]):
                    raise self._other(number)
                break  # It was being written when the run was stopped.
            path = self._path_of(number, text)
            end += len(text)
            if path not in self._wanted:
                self.others += 1
                continue
            done[path] += 1
            if done[path] > self._wanted[path]:
                raise XnnlintError(f"{self._file}:{number}: this is another line of {path}; take one of them away")
        return end, done

    def _path_of(self, number: int, text: bytes) -> str:
        try:
            record = json.loads(text)
            path, settings = record["path"], record["settings"]
        except (ValueError, KeyError, TypeError):
            raise self._other(number) from None
        if settings != self._settings.get(path, settings):
            raise XnnlintError(
                f"{self._file}:{number}: {path} was checked with other settings, options or another version of xnnlint;"
                " give the same, or another file"
            )
        return str(path)

    def _other(self, number: int) -> XnnlintError:
        return XnnlintError(
            f"{self._file}:{number}: this is no line of `xnnlint check --format jsonl`; it stays as it is"
        )

    def _lines(self) -> Iterator[bytes]:
        with Path(self._file).open("rb") as stream:
            yield from stream
