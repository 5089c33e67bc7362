"""Run models in the real runtime, next to a dense reference, and report what happened."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xnnlint.runtime import targets
from xnnlint.runtime.inputs import DTYPES, write_inputs
from xnnlint.runtime.observation import Observation, OutputError, Status, compare, decide
from xnnlint.runtime.process import Child, ChildEnded, ChildTimeout

RSS_LIMIT_KIB = 2 * 1024 * 1024
"""The runtime does not give its memory back: a child above this is replaced by a fresh one."""
XNNPACK_OPERATOR_EVENT = 8  # DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT in litert/c/litert_profiler_event.h
TFLITE_OPERATOR_EVENT = 2  # OPERATOR_INVOKE_EVENT
REFERENCE_RESOLVER = "BUILTIN_REF"


def observe(
    paths: Sequence[str | Path],
    *,
    cpu: str = targets.AUTO,
    litert_version: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    reference: bool = True,
    timeout: float = 300.0,
    batch: int = 200,
) -> Iterator[Observation]:
    """Run each model and yield one observation per path, in order.

    Args:
        paths: .tflite files. Of a model with several signatures the first is run.
        cpu: "auto" (a CPU with the sparse path: this one, or else an emulated one) or one of targets.CPUS.
        litert_version: a LiteRT release, such as "2.1.2"; None for the installed one.
        seeds: of the random inputs; the model runs once for each.
        reference: whether to run the dense reference and to compare the outputs; without it there is no outcome.
        timeout: seconds for one model to load, or to run all its seeds.
        batch: models per child process.

    Raises:
        XnnlintError: this machine cannot run what was asked for (before the first model).
    """
    target = targets.resolve(cpu, litert_version)
    host = targets.host(litert_version) if reference else None
    return _observe(paths, target, host, seeds, timeout, batch)


def _observe(
    paths: Sequence[str | Path],
    target: targets.Target,
    host: targets.Target | None,
    seeds: Sequence[int],
    timeout: float,
    batch: int,
) -> Iterator[Observation]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xnnlint-", dir=_fast_folder())))

        def worker(name: str, on: targets.Target, command: Sequence[str]) -> _Worker:
            made = _Worker(command, on.environment, folder / name, batch, timeout)
            stack.callback(made.close)
            return made

        judge = worker("judge", target, target.command())
        kernels = None
        if host:
            kernels = worker("reference", host, [host.python, "-I", *host.interpreter(REFERENCE_RESOLVER)])
        # Dense XNNPACK is a second opinion; only x86 with AVX runs sparse models densely.
        dense = None
        if host and host.cpu == "x86-avx" and target.cpu != "x86-avx":
            dense = worker("dense", host, host.command())
        for path in paths:
            observation = _observe_one(str(path), target, judge, kernels, dense, seeds, folder)
            if _suspicious(observation) and judge.may_be_damaged(observation.status):
                judge.close()
                observation = _observe_one(str(path), target, judge, kernels, dense, seeds, folder)
            judge.damaged |= _suspicious(observation)
            yield observation


def _suspicious(observation: Observation) -> bool:
    """Such a model may have written where it must not, and the models after it in the same child suffer from it."""
    return observation.status != "ran" or any(output.wrong for output in observation.outputs)


def _fast_folder() -> str | None:
    """Tensors are passed as files; in memory where the system has such a place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class _Run:
    """What one child said of one model."""

    status: Status
    error: str | None = None
    tensors: Mapping[str, Any] | None = None  # {"inputs": [...], "outputs": [...]}
    answer: Mapping[str, Any] | None = None


class _Worker:
    """A child that is replaced when it ended, grew, or served a batch. It answers in two steps: load, then run."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, batch: int, timeout: float
    ) -> None:
        self.command, self.environment, self.folder = list(command), environment, folder
        self.batch, self.timeout = batch, timeout
        self.child: Child | None = None
        self.damaged = False
        self.fresh = True  # whether the last model was the child's first
        folder.mkdir()

    def may_be_damaged(self, status: Status) -> bool:
        """Whether a bad result may be the fault of a model before it, so that only a fresh child can tell."""
        return not self.fresh and (self.damaged or status == "crash")

    def start_load(self, path: str) -> None:
        if self.child and (self.child.jobs >= self.batch or self.child.rss_kib > RSS_LIMIT_KIB):
            self.close()
        if self.child is None:
            self.child = Child(self.command, self.folder / "log", self.environment)
            self.damaged = False
        self.fresh = self.child.jobs == 0
        self.child.jobs += 1
        self.child.mark_log()
        self.child.send({"model": path, "work": str(self.folder)})

    def finish_load(self) -> _Run:
        run = self._answer()
        return _Run("ran", tensors=run.answer) if run.status == "ran" else run

    def start_run(self, inputs: list[list[str]] | None) -> None:
        """None: do not run the loaded model after all."""
        if self.child:
            self.child.send({"inputs": inputs})

    def finish_run(self) -> _Run:
        return self._answer()

    def close(self) -> None:
        if self.child:
            self.child.close()
            self.child = None

    def _answer(self) -> _Run:
        assert self.child is not None
        try:
            answer = self.child.receive(self.timeout)
        except ChildTimeout as error:
            self.child = None
            return _Run("timeout", str(error))
        except ChildEnded as error:
            self.child = None
            return _Run("crash", str(error))
        if "error" not in answer:
            return _Run("ran", answer=answer)
        log = self.child.log_tail()
        text = " ".join(answer["error"].split())
        status: Status = "error" if answer["loaded"] else "unreadable"
        return _Run(status, f"{text}: {log}" if log else text)


def _observe_one(
    path: str,
    target: targets.Target,
    judge: _Worker,
    kernels: _Worker | None,
    dense: _Worker | None,
    seeds: Sequence[int],
    folder: Path,
) -> Observation:
    began = time.monotonic()
    judge.start_load(path)
    if kernels:
        kernels.start_load(path)
    run = judge.finish_load()
    known = kernels.finish_load() if kernels else None
    tensors = run.tensors or (known.tensors if known else None)
    inputs: list[dict[int, str]] = []
    refused = None
    if tensors:
        try:
            inputs = write_inputs(tensors["inputs"], seeds, folder)
        except ValueError as error:
            refused = str(error)
    # Both children compute at the same time.
    if run.tensors:
        judge.start_run(_in_order(run.tensors, inputs))
    if kernels and known and known.tensors:
        kernels.start_run(_in_order(known.tensors, inputs))
    if refused:
        run = _Run("error", refused, run.tensors)
        known = known and _Run("error", refused)
    else:
        if run.tensors:
            run = _joined(run, judge.finish_run())
        if kernels and known and known.tensors:
            known = _joined(known, kernels.finish_run())

    reference, reference_error = None, None
    if known is not None:
        reference, reference_error = ("kernels", None) if known.status == "ran" else (None, known.error)
    dense_run: _Run | None = None

    def run_dense() -> _Run | None:
        nonlocal dense_run
        if dense and dense_run is None:
            dense_run = _run_alone(dense, path, inputs)
        return dense_run

    if known is not None and reference is None and not refused:
        instead = run_dense()
        if instead and instead.status == "ran":
            known, reference = instead, "xnnpack-avx"
    outputs: tuple[OutputError, ...] = ()
    if run.status == "ran":
        outputs = _compare_all(run, known if reference else None, None)
        if reference == "kernels" and any(output.wrong for output in outputs):
            second = run_dense()
            if second and second.status == "ran":
                outputs = _compare_all(run, known, second)
    names, indices, tflite_ops = _profile(run)
    outcome, undecided = decide(run.status, run.error, names, outputs, reference, reference_error)
    return Observation(
        path=path,
        status=run.status,
        error=run.error,
        kernels=names,
        kernel_indices=indices,
        tflite_ops=tflite_ops,
        outputs=outputs,
        reference=reference,
        reference_error=reference_error,
        litert=target.release.version,
        cpu=target.cpu,
        emulated=target.emulated,
        outcome=outcome,
        undecided=undecided,
        seconds=round(time.monotonic() - began, 3),
    )


def _run_alone(worker: _Worker, path: str, inputs: list[dict[int, str]]) -> _Run:
    worker.start_load(path)
    run = worker.finish_load()
    if not run.tensors:
        return run
    worker.start_run(_in_order(run.tensors, inputs))
    return _joined(run, worker.finish_run())


def _joined(loaded: _Run, ran: _Run) -> _Run:
    return _Run(ran.status, ran.error, loaded.tensors, ran.answer)


def _in_order(tensors: Mapping[str, Any], inputs: list[dict[int, str]]) -> list[list[str]] | None:
    """The input files in the order in which this child names its inputs; None where there are none to give."""
    indices = [tensor["index"] for tensor in tensors["inputs"]]
    if not inputs or any(index not in files for files in inputs for index in indices):
        return None
    return [[files[index] for index in indices] for files in inputs]


def _profile(run: _Run) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None, tuple[str, ...] | None]:
    events = run.answer.get("events") if run.answer else None
    if events is None:
        return None, None, None
    xnnpack = [(name, index) for kind, name, index, _ in events if kind == XNNPACK_OPERATOR_EVENT]
    tflite = [name for kind, name, _, _ in events if kind == TFLITE_OPERATOR_EVENT and "delegate" not in name.lower()]
    return tuple(name for name, _ in xnnpack), tuple(index for _, index in xnnpack), tuple(tflite)


def _values(run: _Run) -> dict[int, tuple[tuple[int, ...], list[np.ndarray]]]:
    """Runtime shape and one array per seed, by tensor index."""
    assert run.tensors is not None and run.answer is not None
    values = {}
    for position, tensor in enumerate(run.tensors["outputs"]):
        dtype = DTYPES.get(tensor["type"], np.dtype(np.uint8))
        arrays = [np.fromfile(files[position], dtype) for files in run.answer["outputs"]]
        values[tensor["index"]] = (tuple(run.answer["shapes"][position]), arrays)
    return values


def _compare_all(run: _Run, reference: _Run | None, dense: _Run | None) -> tuple[OutputError, ...]:
    assert run.tensors is not None
    values = _values(run)
    expected = _values(reference) if reference else {}
    second = _values(dense) if dense else {}
    compared = []
    for tensor in run.tensors["outputs"]:
        index = tensor["index"]
        shape, arrays = values[index]
        expected_shape, expected_arrays = expected.get(index, (None, []))
        absolute = relative = rounding = None
        if expected_shape is not None:
            errors = [compare(a, b) for a, b in zip(arrays, expected_arrays, strict=True)]
            absolute, relative = (max(column) for column in zip(*errors, strict=True))
            if index in second:
                rounding = max(compare(a, b)[1] for a, b in zip(second[index][1], expected_arrays, strict=True))
        compared.append(
            OutputError(
                index=index,
                name=tensor["name"],
                dtype=DTYPES.get(tensor["type"], np.dtype(np.void)).name,
                shape=shape,
                reference_shape=expected_shape,
                shape_differs=expected_shape is not None and expected_shape != shape,
                max_abs_error=absolute,
                max_rel_error=relative,
                rounding=rounding,
                nonfinite=_nonfinite(arrays),
                nonfinite_reference=_nonfinite(expected_arrays),
            )
        )
    return tuple(compared)


def _nonfinite(arrays: Sequence[np.ndarray]) -> int:
    return sum(int(array.size - np.isfinite(array).sum()) for array in arrays)
