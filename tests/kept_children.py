"""Children that run models, kept from one test to the next.

A child takes a quarter of a second to start, most of it for the imports of LiteRT's interpreter, and a model some
milliseconds; hundreds of tests run one or two. `observe` gives a child many models anyway, one after the other; here
those of one test are followed by those of the next. What the runtime does is not changed, and a child is kept only if
all that it ever ran went well: of one that failed, crashed, or gave wrong results nothing is known.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from xnnlint.runtime.process import Child
from xnnlint.runtime.workers import Run, Worker

_Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
# A worker's models per child, as `observe` has it.
_MODELS = 200


class _Kept:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: dict[_Key, list[Child]] = defaultdict(list)
        self._logs = 0
        # A child is killed with the thread that started it (`die_with_parent`), and a fork shares its pipes.
        self._owner = self._here()

    def _here(self) -> tuple[int, int]:
        return os.getpid(), threading.get_ident()

    def usable(self) -> bool:
        return self._here() == self._owner

    def log(self) -> Path:
        """A place for the log of a child that outlives the folder of its worker."""
        self._logs += 1
        return self.folder / f"{self._logs}.log"

    def close(self) -> None:
        for children in self.children.values():
            for child in children:
                child.close()
        self.children.clear()


def _key(worker: Worker) -> _Key:
    return tuple(worker.command), tuple(sorted(worker.environment.items()))


@contextmanager
def kept_children() -> Iterator[None]:
    """While it lasts, workers take their first child from those that others have left, and leave theirs."""
    with TemporaryDirectory(prefix="xnnlint-tests-") as folder, pytest.MonkeyPatch.context() as patch:
        kept = _Kept(Path(folder))
        _patch(kept, patch)
        yield
        kept.close()


def _patch(kept: _Kept, patch: pytest.MonkeyPatch) -> None:
    answer, close = Worker._answer, Worker.close

    def start(worker: Worker) -> Child:
        # Whoever starts a second one wants it to be fresh: the first was damaged, or served enough.
        first, worker.started = not hasattr(worker, "started"), True
        if not kept.usable():
            return Child(worker.command, worker.folder / "log", worker.environment)
        if first and worker.batch == _MODELS and (waiting := kept.children[_key(worker)]):
            return waiting.pop()
        return Child(worker.command, kept.log(), worker.environment)

    def noted(worker: Worker, timeout: float | None = None) -> Run:
        run = answer(worker, timeout)
        worker.went_well = getattr(worker, "went_well", True) and run.status == "ran"
        # Of a loaded model the child still waits for what to run it with.
        worker.is_idle = run.answer is not None and "shapes" in run.answer
        return run

    def leave(worker: Worker) -> None:
        child = worker._child
        good = getattr(worker, "went_well", False) and worker.is_idle and not worker._pending and not worker.damaged
        if child and good and kept.usable() and child.jobs < worker.batch == _MODELS:
            worker._child = None
            kept.children[_key(worker)].append(child)
        close(worker)

    patch.setattr(Worker, "_start", start)
    patch.setattr(Worker, "_answer", noted)
    patch.setattr(Worker, "close", leave)
