"""Run models in the real runtime, next to a dense reference, and report what happened."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from xnnlint.runtime import targets
from xnnlint.runtime.broken import Broken
from xnnlint.runtime.inputs import DTYPES, write_inputs
from xnnlint.runtime.observation import WRONG_ABOVE, Observation, OutputError, compare, decide
from xnnlint.runtime.references import dense_copy, random_operator, wrong_reference
from xnnlint.runtime.rounding import judged
from xnnlint.runtime.workers import InputFiles, Run, Worker

REFERENCE_RESOLVER = "BUILTIN_REF"
# It has more operators than the reference one (ELU, say), and like it no delegate.
OPTIMIZED_RESOLVER = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
HANGS_AFTER = 60.0
"""Seconds after which a run is called a hang, if the reference was done in a hundredth of them (see PATIENCE)."""
PATIENCE = 100.0
"""How often the time of the reference, whose kernels are slow but not emulated, a run may take before it hangs."""
CALLING = ("CALL_ONCE", "IF", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE")
"""Operators that run subgraphs."""
_MEMORY, _ROOM = "/dev/shm", 2**30


def observe(
    paths: Iterable[str | Path],
    *,
    cpu: str = targets.AUTO,
    litert_version: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    reference: bool = True,
    timeout: float = 600.0,
    batch: int = 200,
    emulate: bool | None = None,
) -> Iterator[Observation]:
    """Run each model and yield one observation per path, in order.

    Args:
        paths: .tflite files, drawn one by one. Of a model with several signatures the first is run.
        cpu: "auto" (a CPU with the sparse path) or one of targets.CPUS.
        litert_version: a LiteRT release, such as "2.1.2"; None for the installed one.
        seeds: of the random inputs; the model runs once for each.
        reference: whether to run the dense reference and to compare the outputs; without it there is no outcome.
        timeout: seconds for one model to load, or to run all its seeds.
        batch: models per child process.
        emulate: see targets.resolve.

    Raises:
        XnnlintError: this machine cannot run what was asked for (before the first model).
    """
    target = targets.resolve(cpu, litert_version, emulate=emulate)
    host = targets.host(litert_version) if reference else None
    return _observe(paths, target, host, seeds, timeout, batch)


def _observe(
    paths: Iterable[str | Path],
    target: targets.Target,
    host: targets.Target | None,
    seeds: Sequence[int],
    timeout: float,
    batch: int,
) -> Iterator[Observation]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xnnlint-", dir=fast_folder())))

        def worker(name: str, on: targets.Target, command: Sequence[str]) -> Worker:
            made = Worker(command, on.environment, folder / name, batch, timeout)
            stack.callback(made.close)
            return made

        kernels, optimized, dense = None, None, None
        if host:
            kernels = worker("reference", host, [host.python, "-I", *host.interpreter(REFERENCE_RESOLVER)])
            optimized = worker("optimized", host, [host.python, "-I", *host.interpreter(OPTIMIZED_RESOLVER)])
            if host.cpu == "x86-avx" and target.cpu != "x86-avx":
                dense = worker("dense", host, host.command())
        sparse = worker("judge", target, target.command())
        judges = _Judges(target, sparse, kernels, optimized, dense, folder)
        for path in paths:
            observation = judges.observe(str(path), seeds)
            if observation.status in ("hang", "timeout") and target.emulated:
                # Once in many thousand runs the emulator itself hangs; a model that really does, does it again.
                observation = judges.observe(str(path), seeds)
            elif _suspicious(observation) and sparse.may_be_damaged(observation.status):
                sparse.close()
                observation = judges.observe(str(path), seeds)
            sparse.damaged |= _suspicious(observation)
            yield observation


def _suspicious(observation: Observation) -> bool:
    """Such a model may have written where it must not, and the models after it in the same child suffer from it."""
    return observation.status != "ran" or any(output.wrong for output in observation.outputs)


def fast_folder() -> str | None:
    """Where tensors and models are passed as files: in memory, where the system has such a place, and room there, which
    containers as a rule have not; else None, for the usual place."""
    try:
        return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM else None
    except OSError:
        return None


class _Judges:
    """The workers that look at each model.

    Attributes:
        sparse: the runtime on the CPU in question.
        kernels: LiteRT's reference kernels on this machine; None where no reference is wanted.
        optimized: LiteRT's own optimized kernels on this machine, for models that the reference kernels cannot run.
        dense: XNNPACK on this machine where that runs sparse models densely, which is a second opinion; else None. As
            a reference it is the last resort, since a mistake of the delegate would be in both runs.
    """

    def __init__(
        self,
        target: targets.Target,
        sparse: Worker,
        kernels: Worker | None,
        optimized: Worker | None,
        dense: Worker | None,
        folder: Path,
    ) -> None:
        self.target, self.sparse, self.folder = target, sparse, folder
        self.kernels, self.optimized, self.dense = kernels, optimized, dense

    def observe(self, path: str, seeds: Sequence[int]) -> Observation:
        began = time.monotonic()
        meant = self._meant(path) if self.kernels else path
        self.sparse.start_load(path)
        if self.kernels:
            self.kernels.start_load(meant)
        loaded = [self.sparse.finish_load(), self.kernels.finish_load() if self.kernels else None]
        tensors = next((run.tensors for run in loaded if run and run.tensors), None)
        inputs: InputFiles = []
        refused = None
        if tensors:
            try:
                # Some things go wrong in a second run only, such as a buffer that cannot be bound again.
                inputs = write_inputs(tensors["inputs"], seeds, self.folder) * (2 if len(seeds) == 1 else 1)
            except ValueError as error:
                refused = str(error)
        # Both children compute at the same time.
        started = time.monotonic()
        self.sparse.start_run(inputs)
        if self.kernels:
            self.kernels.start_run(inputs)
        expected = self.kernels.finish_run() if self.kernels else None
        run = self._finish(expected, time.monotonic() - started)
        if expected and (misjudged := wrong_reference(path)):
            expected = Run("error", f"LiteRT's reference kernel of {misjudged} is wrong")
        if refused:
            run = Run("error", refused)
            expected = expected and Run("error", refused)
        read = expected is None or not run.status == expected.status == "unreadable"
        return self._conclude(path, meant, run, expected, inputs, began, is_model=read and refused is None)

    def _meant(self, path: str) -> str:
        """The file that the reference runs: a copy where its kernels would misread the one in question."""
        copy = dense_copy(path)
        if copy is None:
            return path
        meant = self.folder / "meant.tflite"
        # The runtime keeps files mapped, so that each needs a file of its own.
        meant.unlink(missing_ok=True)
        meant.write_bytes(copy)
        return str(meant)

    def _finish(self, expected: Run | None, seconds: float) -> Run:
        """The run in question, beside a reference that took that many seconds.

        A model that writes where it must not (as rules/fails_at_run_time.py describes) crashes as a rule, but can also
        end in an endless loop, or in a lock that nobody gives back.
        """
        limit = max(HANGS_AFTER, PATIENCE * seconds)
        if expected is None or not expected.ran or limit >= self.sparse.timeout:
            return self.sparse.finish_run()
        run = self.sparse.finish_run(limit)
        return replace(run, status="hang") if run.status == "timeout" else run

    def _conclude(
        self,
        path: str,
        meant: str,
        run: Run,
        expected: Run | None,
        inputs: InputFiles,
        began: float,
        *,
        is_model: bool,
    ) -> Observation:
        reference, reference_error, second = None, None, None
        if expected is not None:
            reference = "kernels" if expected.ran and _comparable(run, expected) else None
            reference_error = None if reference else expected.error or "the reference has other outputs"
            if reference is None:
                reference, expected = self._other_reference(meant, run, inputs) or (None, expected)
        outputs: tuple[OutputError, ...] = ()
        if run.ran:
            outputs = _compare_all(run, expected if reference else None, None)
            if reference not in (None, "xnnpack-avx") and self.dense and any(output.wrong for output in outputs):
                second = self.dense.run(meant, inputs)
                if second.ran and _comparable(run, second):
                    outputs = _compare_all(run, expected, second)
            if reference in ("kernels", "optimized-kernels") and any(output.wrong for output in outputs):
                outputs = self._among_others(meant, run, expected, inputs, outputs)
        if inputs[1:] == inputs[:1]:
            outputs = tuple(replace(output, response=None) for output in outputs)
        profile = run.profile
        kernels, indices, tflite_ops, called = profile if profile else (None, None, None, ())
        ran = None if kernels is None else [*kernels, *(kernel for inner in called or () for kernel in inner.kernels)]
        hidden = [op for op in tflite_ops or () if op in CALLING] if called is None else []
        outcome, undecided = decide(
            run.status,
            run.error,
            ran,
            outputs,
            reference,
            reference_error,
            subgraphs=hidden,
            is_model=is_model,
        )
        if outcome == "wrong-results" and (chance := random_operator(path)):
            outcome, undecided = None, f"{chance} gives other numbers in each run, so that outputs cannot be compared"
        broken = None
        if reference is None:
            broken = Broken.NOTHING_RUNS if expected is not None and run.status in ("crash", "error") else None
        elif any(output.max_rel_error is None for output in outputs):
            broken = Broken.NOTHING_FINITE
        elif expected is not None and meant != path and outcome in ("wrong-results", "fails"):
            broken = self._own_kernels(path, inputs, _values(expected))
        return Observation(
            path=path,
            status=run.status,
            error=run.error,
            kernels=kernels,
            kernel_indices=indices,
            tflite_ops=tflite_ops,
            called=called,
            outputs=outputs,
            reference=reference,
            reference_error=reference_error,
            litert=self.target.release.version,
            cpu=self.target.cpu,
            execution=self.target.execution,
            outcome=outcome,
            undecided=undecided,
            broken=broken,
            seconds=round(time.monotonic() - began, 3),
        )

    def _own_kernels(self, path: str, inputs: InputFiles, expected: Outputs) -> Broken | None:
        """What LiteRT's own kernels make of a file that is not what the reference ran; None where they get it right."""
        assert self.optimized is not None
        run = self.optimized.run(path, inputs)
        if not run.ran:
            return Broken.OWN_KERNELS_DIE if run.status == "crash" else Broken.OWN_KERNELS_REFUSE
        worst = [_worst(arrays, expected[tensor][1])[1] for tensor, (_, arrays) in _values(run).items()]
        return Broken.OWN_KERNELS_ERR if any(error is not None and error > WRONG_ABOVE for error in worst) else None

    def _among_others(
        self, path: str, run: Run, expected: Run | None, inputs: InputFiles, outputs: tuple[OutputError, ...]
    ) -> tuple[OutputError, ...]:
        """The outputs of a quantized model, judged by all that is known of what they should be."""
        from xnnlint.runtime.float_evaluation import float_file, output_scales

        assert self.kernels is not None and self.optimized is not None
        if expected is None or expected.tensors is None or not expected.tensors.get("quantized"):
            return outputs
        files = [path]
        if (data := float_file(path)) is not None:
            files.append(str(self.folder / "float.tflite"))
            Path(files[-1]).write_bytes(data)
        # A run's outputs are read before the next run of the same child replaces them.
        known = [_values(expected)]
        known += [_values(other) for file in files if (other := self.optimized.run(file, inputs)).ran]
        values, scales = _values(run), output_scales(path)
        return tuple(
            judged(output, values[output.index][1], [k[output.index][1] for k in known if output.index in k], scales)
            for output in outputs
        )

    def _other_reference(self, path: str, run: Run, inputs: InputFiles) -> tuple[str, Run] | None:
        """The best reference, and its run, of a model that the reference kernels cannot run."""
        # Of a cut file, LiteRT's C API makes a model without inputs and outputs; that is nothing to judge.
        if inputs and not (run.tensors and not run.tensors["outputs"]):
            for name, worker in (("optimized-kernels", self.optimized), ("xnnpack-avx", self.dense)):
                expected = worker.run(path, inputs) if worker else None
                if expected and expected.ran and _comparable(run, expected):
                    return name, expected
        return None


def _comparable(run: Run, reference: Run) -> bool:
    """Whether the two have the same outputs; also true where the first has none because it did not run."""
    if not run.ran:
        return True
    assert run.tensors is not None and reference.tensors is not None
    both = (run.tensors, reference.tensors)
    mine, theirs = ({(t["index"], t["type"]) for t in tensors["outputs"]} for tensors in both)
    return mine == theirs


Outputs = dict[int, tuple[tuple[int, ...], list[np.ndarray]]]


def _values(run: Run) -> Outputs:
    """Runtime shape and one array per seed, by tensor index."""
    assert run.tensors is not None and run.answer is not None
    values = {}
    for position, tensor in enumerate(run.tensors["outputs"]):
        dtype = DTYPES.get(tensor["type"], np.dtype(np.uint8))
        arrays = [np.fromfile(files[position], dtype) for files in run.answer["outputs"]]
        values[tensor["index"]] = (tuple(run.answer["shapes"][position]), arrays)
    return values


def _compare_all(run: Run, reference: Run | None, dense: Run | None) -> tuple[OutputError, ...]:
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
            absolute, relative = _worst(arrays, expected_arrays)
            if index in second:
                rounding = _worst(second[index][1], expected_arrays)[1]
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
                response=_response(expected_arrays),
                nonfinite=_nonfinite(arrays),
                nonfinite_reference=_nonfinite(expected_arrays),
            )
        )
    return tuple(compared)


def _worst(arrays: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> tuple[float | None, float | None]:
    """The largest absolute and relative errors of all seeds."""
    errors = [error for pair in zip(arrays, expected, strict=True) if (error := compare(*pair)) is not None]
    absolute, relative = zip(*errors, strict=True) if errors else ((), ())
    return max(absolute, default=None), max(relative, default=None)


def _response(expected: Sequence[np.ndarray]) -> float | None:
    """How much an output differs between the first seed and the others."""
    others = expected[1:]
    return _worst(others, [expected[0]] * len(others))[1] if others else None


def _nonfinite(arrays: Sequence[np.ndarray]) -> int:
    return sum(int(array.size - np.isfinite(array).sum()) for array in arrays)
