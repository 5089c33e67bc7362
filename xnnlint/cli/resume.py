"""A file of JSON Lines that a run adds to, and from which a run that was stopped goes on.

A line is there as a whole or is the last one, which then is dropped and its model done again. A line goes, too, whose
model was written since, or could not be done then.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from xnnlint.atomic import commit, draft
from xnnlint.errors import XnnlintError
from xnnlint.file_lock import lock
from xnnlint.loaders.addresses import is_address
from xnnlint.loaders.content import content_of
from xnnlint.loaders.search import Found
from xnnlint.reporters.model_record import Record

_KEYS = ("path", "settings", "sha256", "error")
_KEY_OF = {"check": "findings", "verify": "agrees"}
"""What lines of one command have, and not those of the other."""


class Meant(NamedTuple):
    """A model of the run.

    Attributes:
        path: as lines call it.
        found: what is read for it.
        settings: what tells how it is done from other ways, as lines have it.
    """

    path: str
    found: Found
    settings: str


class Resumed:
    """The lines of a file, and the models that are left.

    Args:
        file: it need not be there.
        models: all models of the run.
        command: which one writes such lines, "check" or "verify".

    Attributes:
        left: the numbers of the models that have no line that still holds.
        others: lines of models that are not among those of the run; they stay in the file.
        again: lines that were dropped, since their models have changed, or could not be done then.

    Raises:
        XnnlintError: it cannot be read or written, holds something else, or was made with other settings.
    """

    def __init__(self, file: str, models: Sequence[Meant], command: str) -> None:
        self._file, self._command = file, command
        self.others = self.again = 0
        self._open = ExitStack()
        try:
            self._stream = self._locked()
            self._wanted = Counter(model.path for model in models)
            self._models = {model.path: model for model in models}
            done = self._read_through()
        except BaseException:
            self._open.close()
            raise
        self.left = []
        for number, model in enumerate(models):
            if done[model.path]:
                done[model.path] -= 1
            else:
                self.left.append(number)

    def remarks(self) -> Iterator[str]:
        """What the user should know of the file."""
        if self.others:
            yield f"{self._file}: {_lines_are(self.others)} of models that are not among these; they stay"
        if self.again:
            whose = "its model has" if self.again == 1 else "their models have"
            yield f"{self._file}: {_lines_are(self.again)} made anew: {whose} changed, or could not be read"

    def known(self) -> Iterator[tuple[Record, str]]:
        """The models of this run that have a line: what it says, and the line without its end."""
        for text in self._lines():
            record = json.loads(text)
            if record["path"] in self._wanted:
                yield record, text.decode().rstrip("\n")

    def add(self, line: str) -> None:
        """A line more."""
        try:
            self._stream.seek(0, os.SEEK_END)
            left = f"{line}\n".encode()
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise XnnlintError(f"{self._file}: not written: {error.strerror or error}") from None

    def close(self) -> None:
        self._open.close()

    def _locked(self) -> IO[bytes]:
        """The file, which no other run has."""
        try:
            # Not "ab": what is half written has to be cut off.
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise XnnlintError(f"{self._file}: cannot be written ({error.strerror})") from None
        stream = self._open.enter_context(os.fdopen(handle, "r+b", buffering=0))
        # One that was locked by another run when it was opened may have been replaced by that run since.
        if not lock(handle) or not os.path.samestat(os.fstat(handle), os.stat(self._file)):  # noqa: PTH116
            raise XnnlintError(f"{self._file}: another xnnlint is writing it")
        return stream

    def _read_through(self) -> Counter[str]:
        """How many lines each model has that still hold; the others are gone then."""
        done: Counter[str] = Counter()
        end = 0
        dropped: set[int] = set()
        for number, text in enumerate(self._lines(), 1):
            if not text.endswith(b"\n"):
                if not text.startswith(b'{"schema_version":'[: len(text)]):
                    raise self._other(number)
                break  # It was being written when the run was stopped.
            record = self._record(number, text)
            path = record["path"]
            end += len(text)
            if path not in self._wanted:
                self.others += 1
                continue
            done[path] += 1
            if done[path] > self._wanted[path]:
                raise XnnlintError(f"{self._file}:{number}: this is another line of {path}; take one of them away")
            if not _holds(record, self._models[path].found):
                dropped.add(number)
        self._stream.truncate(end)
        if dropped:
            self._drop(dropped, done)
        return done

    def _drop(self, numbers: set[int], done: Counter[str]) -> None:
        """Write the file without some lines: as a whole, so that a run that is killed now loses none."""
        self.again = len(numbers)
        with draft(self._file) as drafted:
            try:
                with Path(drafted).open("wb") as sink:
                    for number, text in enumerate(self._lines(), 1):
                        if number in numbers:
                            done[json.loads(text)["path"]] -= 1
                        else:
                            sink.write(text)
                commit(drafted, self._file)
            except OSError as error:
                raise XnnlintError(f"{self._file}: not written: {error.strerror or error}") from None
        # The old one stays open and locked until the end, for whoever waits for it.
        self._stream = self._locked()

    def _record(self, number: int, text: bytes) -> Record:
        try:
            record: Record = json.loads(text)
            is_other = not {*_KEYS, _KEY_OF[self._command]} <= record.keys()
            model = self._models.get(record["path"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._other(number) from None
        if is_other:
            raise self._other(number)
        if model is not None and record["settings"] != model.settings:
            raise XnnlintError(
                f"{self._file}:{number}: the line of {model.path} is of other settings, options or another version of"
                " xnnlint; give the same, or another file"
            )
        return record

    def _other(self, number: int) -> XnnlintError:
        what = f"`xnnlint {self._command} --format jsonl`"
        return XnnlintError(f"{self._file}:{number}: this is no line of {what}; it stays as it is")

    def _lines(self) -> Iterator[bytes]:
        with Path(self._file).open("rb") as stream:
            yield from stream


def _lines_are(number: int) -> str:
    return "1 line is" if number == 1 else f"{number:,} lines are"


def _holds(record: Record, model: Found) -> bool:
    """Whether what a line says still holds: the model could be done then, and is the same now."""
    if record["error"] is not None or model.error is not None:
        return False
    if is_address(model.path):
        return record.get("version") is not None and record["version"] == _version(model)
    # An architecture has its weights in files beside it.
    if record["sha256"] is None or model.path.lower().endswith(".json"):
        return False
    content = content_of(model.path)
    return content is not None and content.sha256 == record["sha256"]


def _version(model: Found) -> str | None:
    if model.version is not None:
        return model.version
    from xnnlint.loaders.remote.versions import version_at

    try:
        return version_at(model.path)
    except XnnlintError:
        return None  # The run will say why.
