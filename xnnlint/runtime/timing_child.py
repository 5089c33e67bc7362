"""Child process: times models in LiteRT through its C API, several of them in turns.

Standard library only, as litert_child.py, whose use of the API it shares. Started as a script; it speaks JSON lines:

    parent: {"models": [path...], "threads": number}
    child:  {"models": [{"inputs": [tensor...]} or {"error": text}, ...]}
    parent: {"inputs": [[file per input] or null, ...], "rounds": number, "seconds": number}
    child:  {"timings": [{"walls": [nanoseconds...], "profiled": [nanoseconds...],
                          "operators": [[type, tag, index, [microseconds...]]...]}
                         or {"error": text}, ...]}

In each round every model runs three times: once that does not count, since the models before it have taken the caches,
once for the clock, and once for the profiler and the clock ("profiled"). A model whose file is null is not run. An
operator's readings are those of its profiler event, one for each round, whole microseconds.
"""

from __future__ import annotations

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

import litert_child  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

OPERATOR_EVENTS = (2, 8)  # OPERATOR_INVOKE_EVENT, DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT
WARM_UP = 2


class Timed:
    """One model under the clock: what was read so far, or the error that ended it."""

    def __init__(self, runtime: litert_child.LiteRt, path: str, threads: int) -> None:
        self.error: str | None = None
        self.walls: list[int] = []
        self.profiled: list[int] = []
        self.operators: list[list[Any]] = []
        self.model: litert_child.Model | None = None
        self.ready: litert_child.Compiled | None = None
        try:
            self.model = litert_child.Model(runtime, path)
            self.ready = self.model.compile(threads)
        except litert_child.CallFailed as error:
            self.error = str(error)

    def described(self) -> dict[str, Any]:
        if self.error is not None or self.model is None:
            return {"error": self.error}
        return {"inputs": litert_child.public(self.model.inputs)}

    def fill(self, files: list[str] | None) -> None:
        if self.ready is None or files is None:
            self.error = self.error or "not run"
            return
        try:
            for buffer, source in zip(self.ready.inputs, files):  # noqa: B905
                with open(source, "rb") as file:  # noqa: PTH123
                    self.ready.write(buffer, file.read())
            for _ in range(WARM_UP):
                self.ready.run()
        except litert_child.CallFailed as error:
            self.error = str(error)

    def round(self) -> None:
        if self.error is not None or self.ready is None:
            return
        try:
            self.ready.run()
            begin = time.perf_counter_ns()
            self.ready.run()
            self.walls.append(time.perf_counter_ns() - begin)
            self.ready.start_profile()
            begin = time.perf_counter_ns()
            self.ready.run()
            self.profiled.append(time.perf_counter_ns() - begin)
            self._note([e for e in self.ready.stop_profile() if e.event_type in OPERATOR_EVENTS])
        except litert_child.CallFailed as error:
            self.error = str(error)

    def _note(self, events: list[litert_child.ProfilerEvent]) -> None:
        if not self.operators:
            self.operators = [[e.event_type, litert_child.tag(e), e.metadata1, []] for e in events]
        if len(events) != len(self.operators):
            raise litert_child.CallFailed(f"{len(events)} events after {len(self.operators)} in the run before")
        for entry, event in zip(self.operators, events):  # noqa: B905
            entry[3].append(event.elapsed_us)

    def result(self) -> dict[str, Any]:
        if self.error:
            return {"error": self.error}
        return {"walls": self.walls, "profiled": self.profiled, "operators": self.operators}

    def close(self) -> None:
        if self.model is not None:
            self.model.close()


def serve(runtime: litert_child.LiteRt, requests: TextIO, replies: TextIO) -> None:
    """Answer jobs until the parent closes the pipe."""

    def reply(answer: dict[str, Any]) -> None:
        answer["rss_kib"] = litert_child.peak_rss_kib()
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    for line in requests:
        job = json.loads(line)
        models = [Timed(runtime, path, job["threads"]) for path in job["models"]]
        reply({"models": [model.described() for model in models]})
        order = json.loads(requests.readline())
        for model, files in zip(models, order["inputs"]):  # noqa: B905
            model.fill(files)
        end = time.monotonic() + order["seconds"]
        for done in range(order["rounds"]):
            # Backwards every other time, so that none always runs behind the same one.
            for model in models if done % 2 else models[::-1]:
                model.round()
            if time.monotonic() > end:
                break
        reply({"timings": [model.result() for model in models]})
        for model in models:
            model.close()


def main() -> None:
    library, version = sys.argv[1], tuple(int(part) for part in sys.argv[2].split("."))
    litert_child.die_with_parent()
    litert_child.forbid_core_dumps()
    litert_child.keep_freed_memory()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(litert_child.LiteRt(library, version), sys.stdin, replies)


if __name__ == "__main__":
    main()
