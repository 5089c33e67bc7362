"""Children that serve many models, and are replaced when they ended, grew, or served enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.runtime.observation import Status, SubgraphRun
from xnnlint.runtime.process import Child, ChildEnded, ChildTimeout

RSS_LIMIT_KIB = 2 * 1024 * 1024
"""The runtime does not give its memory back: a child above this is replaced by a fresh one."""

XNNPACK_OPERATOR_EVENT = 8  # DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT in litert/c/litert_profiler_event.h
TFLITE_OPERATOR_EVENT = 2  # OPERATOR_INVOKE_EVENT
INVOKE_EVENT = (1, "Invoke")  # begins a run of a subgraph: tflite/core/subgraph.cc `Subgraph::Invoke`

InputFiles = list[dict[int, str]]
"""Per seed, the file of each input, by tensor index."""


class Profile(NamedTuple):
    """The operators of one inference; see Observation."""

    kernels: tuple[str, ...]
    kernel_indices: tuple[int, ...]
    tflite_ops: tuple[str, ...]
    called: tuple[SubgraphRun, ...] | None = ()


class Run(Struct, frozen=True):
    """What one child said of one model.

    Attributes:
        status, error: as in Observation, but never "hang", which needs a reference to tell.
        tensors: {"inputs": [...], "outputs": [...]}, once the model is loaded.
        answer: {"events", "outputs", "shapes"} (see litert_child.py), once it ran.
    """

    status: Status
    error: str | None = None
    tensors: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None

    @property
    def ran(self) -> bool:
        return self.answer is not None

    @property
    def profile(self) -> Profile | None:
        """None where it did not run, or the release does not profile."""
        events = self.answer.get("events") if self.answer else None
        if events is None:
            return None
        return profile_of(events)


def profile_of(events: Sequence[Sequence[Any]]) -> Profile:
    """The operators of each subgraph from the events of one inference, `[kind, name, number, subgraph, ...]`."""
    main = next((event[3] for event in events if (event[0], event[1]) == INVOKE_EVENT), None)
    if main is None:  # The Python interpreter tells of the main subgraph only, without such an event.
        return Profile(*_operators(events), None)
    runs: dict[int, list[list[Sequence[Any]]]] = {main: [[]]}
    for event in events:
        if (event[0], event[1]) == INVOKE_EVENT:
            runs.setdefault(event[3], []).append([])
        elif event[3] in runs:
            runs[event[3]][-1].append(event)
    counted = {subgraph: Counter(map(_operators, times)) for subgraph, times in runs.items()}
    called = [
        SubgraphRun(subgraph, count, *operators)
        for subgraph, times in sorted(counted.items())
        for operators, count in times.items()
        if subgraph != main and any(operators)
    ]
    return Profile(*_operators([event for time in runs[main] for event in time]), tuple(called))


def _operators(events: Sequence[Sequence[Any]]) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """XNNPACK's operators, its own numbers of them, and TFLite's operators."""
    xnnpack = [event for event in events if event[0] == XNNPACK_OPERATOR_EVENT]
    tflite = [name for kind, name, *_ in events if kind == TFLITE_OPERATOR_EVENT and "delegate" not in name.lower()]
    return tuple(event[1] for event in xnnpack), tuple(event[2] for event in xnnpack), tuple(tflite)


class Worker:
    """Runs one model after the other, each in two steps that the caller may interleave with other workers': load, then
    run. `fresh` says whether the last model was its child's first, `damaged` whether an earlier one of the same child
    went bad.

    Args:
        command, environment: of a child that speaks the protocol of litert_child.py.
        folder: to make, for its log and the outputs.
        batch: models per child.
        timeout: seconds for each step.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, batch: int, timeout: float
    ) -> None:
        self.command, self.environment, self.folder = list(command), environment, folder
        self.batch, self.timeout = batch, timeout
        self.fresh, self.damaged = True, False
        self._child: Child | None = None
        self._run = Run("unreadable")
        self._pending = False
        folder.mkdir()

    def start_load(self, path: str) -> None:
        child = self._child
        if child and (child.jobs >= self.batch or child.rss_kib > RSS_LIMIT_KIB):
            self.close()
        if self._child is None:
            self._child = self._start()
            self.damaged = False
        self.fresh = self._child.jobs == 0
        self._child.jobs += 1
        self._child.mark_log()
        self._child.send({"model": path, "work": str(self.folder)})

    def finish_load(self) -> Run:
        self._run = self._answer()
        if self._run.answer is not None:
            self._run = Run("ran", tensors=self._run.answer)
        return self._run

    def start_run(self, inputs: InputFiles) -> None:
        """Without inputs for a loaded model it is not run; finish_run() then says why."""
        self._pending = False
        if self._run.tensors is None or self._child is None:
            return
        indices = [tensor["index"] for tensor in self._run.tensors["inputs"]]
        given = bool(inputs) and all(index in files for files in inputs for index in indices)
        self._child.send({"inputs": [[files[index] for index in indices] for files in inputs] if given else None})
        self._pending = given
        if not given:
            self._run = replace(self._run, status="error", error="its inputs cannot be filled, or are others here")

    def finish_run(self, timeout: float | None = None) -> Run:
        """`timeout`: seconds for this run, if not those of every step."""
        if not self._pending:
            return self._run
        self._pending = False
        return replace(self._answer(timeout), tensors=self._run.tensors)

    def run(self, path: str, inputs: InputFiles) -> Run:
        """Both steps at once."""
        self.start_load(path)
        self.finish_load()
        self.start_run(inputs)
        return self.finish_run()

    def may_be_damaged(self, status: Status) -> bool:
        """Whether a bad result may be the fault of a model before it, so that only a fresh child can tell."""
        return not self.fresh and (self.damaged or status == "crash")

    def close(self) -> None:
        if self._child:
            self._child.close()
            self._child = None

    def _start(self) -> Child:
        return Child(self.command, self.folder / "log", self.environment)

    def _answer(self, timeout: float | None = None) -> Run:
        assert self._child is not None
        try:
            answer = self._child.receive(self.timeout if timeout is None else timeout)
        except ChildTimeout as error:
            self._child = None
            return Run("timeout", str(error))
        except ChildEnded as error:
            self._child = None
            return Run("crash", str(error))
        if "error" not in answer:
            return Run("ran", answer=answer)
        log = self._child.log_tail()
        text = " ".join(answer["error"].split())
        return Run("error" if answer["loaded"] else "unreadable", f"{text}: {log}" if log else text)
