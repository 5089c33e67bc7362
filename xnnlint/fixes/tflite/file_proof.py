"""The proof that a fixed file is right: old and new outputs agree, and a real run does what the plan says.

Both files compute the same random inputs in TFLite's reference kernels (plain loops, no delegate), where neither the
delegate nor XNNPACK can be wrong. Then the new file runs in the real runtime, and `xnnlint.runtime.verify` compares.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from xnnlint.errors import XnnlintError
from xnnlint.fixes.change import Exactness
from xnnlint.fixes.result import Measured, Proof
from xnnlint.runtime import targets
from xnnlint.runtime.inputs import DTYPES, write_inputs
from xnnlint.runtime.observation import compare as compare_values
from xnnlint.runtime.observe import OPTIMIZED_RESOLVER, REFERENCE_RESOLVER, fast_folder, observe
from xnnlint.runtime.references import dense_copy
from xnnlint.runtime.timing import timed_library
from xnnlint.runtime.timing_pair import time_pair
from xnnlint.runtime.verify import DIFFERS, compare
from xnnlint.runtime.workers import Run, Worker
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import load_profile, runtime_of_litert

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.file_search import FileResult
    from xnnlint.runtime.observation import Observation
    from xnnlint.runtime.verify import Verification

SEEDS = (0, 1, 2, 3)
TOLERANCE = {Exactness.EXACT: 0.0, Exactness.ROUNDING: 2e-4}
"""How much an output may differ, relative to its largest element; for each change of that kind at least once."""
_TIMEOUT = 600.0
# How TFLite begins to say that a set of kernels lacks an operator (`GetRegistrationFromOpCode` of google-ai-edge/LiteRT
# tflite/core/api/op_resolver.cc).
_NO_KERNEL = "Didn't find op"
# For timing: a first look, and a second one where the file seems to be slower; how near the interval's ends shall be.
_SECONDS, _MORE_SECONDS, _PRECISE = 2.0, 8.0, 0.04


class FileProof(Proof, frozen=True):
    """What was seen, in figures.

    Attributes:
        max_rel_error, max_abs_error: of old and new outputs in the reference kernels; None where not compared.
        tolerance: what was allowed; None for changes that change what the model computes.
        reference: the kernels that computed both: "kernels" (reference ones), "optimized-kernels" or "xnnpack-avx".
        observation: the real run of the new file.
    """

    max_rel_error: float | None = None
    max_abs_error: float | None = None
    tolerance: float | None = None
    reference: str | None = None
    observation: Observation | None = None


class _Compared(Struct):
    reference: str | None = None
    absolute: float = 0.0
    relative: float = 0.0
    trouble: str = ""
    names: list[str] = field(default_factory=list)


class Prover:
    """Proves one fixed file after the other, in child processes that it keeps; a context manager.

    Args:
        seeds: of the random inputs.

    Raises:
        XnnlintError: nothing can run here, with what to install.
    """

    def __init__(self, seeds: Sequence[int] = SEEDS) -> None:
        self.seeds = tuple(seeds)
        try:
            self.target = targets.resolve(fetch=False)
            self.host = targets.host()
        except XnnlintError as error:
            raise XnnlintError(f"it cannot be proven here ({error}); --no-proof writes without a proof") from None
        self.runtime = runtime_of_litert(self.target.release.version)[0]
        self._stack = ExitStack()
        self._queue: deque[str] = deque()
        self._number = 0

    def __enter__(self) -> Prover:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="xnnlint-", dir=fast_folder()))
        self.folder = Path(folder)
        host = self.host
        self._references: list[tuple[str, list[Worker]]] = [
            ("kernels", self._pair("reference", [host.python, "-I", *host.interpreter(REFERENCE_RESOLVER)])),
            ("optimized-kernels", self._pair("optimized", [host.python, "-I", *host.interpreter(OPTIMIZED_RESOLVER)])),
        ]
        if host.cpu == "x86-avx":
            self._references.append(("xnnpack-avx", self._pair("dense", host.command())))
        observations = observe(self._paths(), seeds=self.seeds[:3], cpu=self.target.cpu)
        self._stack.callback(observations.close)  # type: ignore[attr-defined]
        self._observations = observations
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prove(self, result: FileResult) -> FileProof:
        """Looks at the file before and after; neither is changed."""
        exactness = {change.exactness for change in result.changes}
        tolerance = None if Exactness.DIFFERENT in exactness else max((TOLERANCE[e] for e in exactness), default=0.0)
        with self._files(result) as (before, after):
            compared = self._compare(self._meant(before), self._meant(after))
            verified = self._verify(after, result)
        if tolerance is not None and compared.reference not in (None, "kernels"):
            # Optimized kernels of other shapes sum in another order, even where the sums are the same.
            tolerance = max(TOLERANCE.values())
        reason = compared.trouble
        if not reason and tolerance is not None and not compared.relative <= tolerance:
            reason = (
                f"an output would differ by {compared.relative:.1e} relative to its largest element, and these "
                f"changes may differ by {tolerance:.0e}"
            )
        reason = reason or _run_trouble(verified)
        return FileProof(
            passed=not reason,
            reason=reason,
            facts=() if reason else tuple(self._facts(compared, verified, tolerance)),
            tolerance=tolerance,
            reference=compared.reference,
            observation=verified.observation,
            max_rel_error=compared.relative if compared.reference else None,
            max_abs_error=compared.absolute if compared.reference else None,
        )

    def measure(self, result: FileResult) -> Measured:
        """Times the file before and after in turns; a second time, and longer, where it seems to be slower.

        Raises:
            NotTimed: nothing can be timed here, and why.
            XnnlintError: one of them does not run.
        """
        timed_library(self.target)
        with self._files(result) as paths:
            timed = time_pair(paths, self.target, seconds=_SECONDS, precise=_PRECISE)
            if timed.ratio.value < 1:
                timed = time_pair(paths, self.target, seconds=_MORE_SECONDS)
        before, after = (geometric_mean(timing.total for timing in side) for side in (timed.before, timed.after))
        cpu, execution = self.target.cpu, self.target.execution
        where = execution.words.replace("natively", f"natively on {cpu}")
        return Measured(timed.ratio, before, after, where, cpu, execution.value)

    @contextmanager
    def _files(self, result: FileResult) -> Iterator[tuple[Path, Path]]:
        """The file before and after; the runtime keeps files mapped, so that each needs a name of its own."""
        self._number += 1
        before, after = (self.folder / f"{side}{self._number}.tflite" for side in ("before", "after"))
        try:
            before.write_bytes(result.before.data)
            after.write_bytes(result.after.data)
            yield before, after
        finally:
            before.unlink(missing_ok=True)
            after.unlink(missing_ok=True)

    def observe(self, path: Path) -> Observation:
        """One file in the real runtime."""
        self._queue.append(str(path))
        return next(self._observations)

    def _facts(self, compared: _Compared, verified: Verification, tolerance: float | None) -> Iterator[str]:
        kernels = {"kernels": "the reference kernels", "optimized-kernels": "TFLite's kernels"}.get(
            compared.reference or "", "XNNPACK's dense kernels"
        )
        if tolerance is None:
            yield f"outputs move by {compared.relative:.1e} in {kernels}, since unsafe changes were made"
        elif compared.relative:
            yield f"{len(self.seeds)} random inputs: outputs differ by at most {compared.relative:.1e} in {kernels}"
        else:
            yield f"{len(self.seeds)} random inputs: outputs are the same in {kernels}"
        observation = verified.observation
        assert observation is not None
        seen = f"{observation.spmm} SpMM as predicted, outputs correct (error {observation.max_rel_error or 0:.0e})"
        yield f"a run in {observation.place}: {seen}"

    # Old and new outputs

    def _meant(self, path: Path) -> Path:
        """What a file should compute: a copy of it where TFLite's kernels would misread it, or sum in another order
        than in a copy."""
        copy = dense_copy(path)
        if copy is None:
            return path
        meant = path.with_stem(path.stem + "-meant")
        meant.write_bytes(copy)
        return meant

    def _compare(self, before: Path, after: Path) -> _Compared:
        """In the best kernels that can compute both files."""
        trouble = ""
        for name, (first, second) in self._references:
            old, inputs = self._first_run(first, before)
            if not old.ran:
                trouble = trouble or f"the model as it is cannot be computed to compare with ({old.error})"
                continue
            new = self._second_run(second, after, old, inputs)
            if not new.ran and _NO_KERNEL in str(new.error):
                # The reference kernels have no ELU, for one.
                trouble = f"the changed model does not run in TFLite itself ({new.error})"
                continue
            return self._compare_with(name, old, new)
        return _Compared(trouble=trouble)

    def _first_run(self, worker: Worker, path: Path) -> tuple[Run, list[dict[int, str]]]:
        worker.start_load(str(path))
        loaded = worker.finish_load()
        inputs: list[dict[int, str]] = []
        if loaded.tensors:
            try:
                inputs = write_inputs(loaded.tensors["inputs"], self.seeds, self.folder)
            except ValueError as error:
                return Run("error", str(error)), []
        worker.start_run(inputs)
        return worker.finish_run(), inputs

    def _second_run(self, worker: Worker, path: Path, old: Run, inputs: list[dict[int, str]]) -> Run:
        worker.start_load(str(path))
        loaded = worker.finish_load()
        if loaded.tensors and old.tensors:
            # Indices may be others in the new file; the order of the inputs is the same.
            places = [t["index"] for t in old.tensors["inputs"]]
            renamed = [
                {new["index"]: files[place] for new, place in zip(loaded.tensors["inputs"], places, strict=True)}
                for files in inputs
            ]
            worker.start_run(renamed)
        return worker.finish_run()

    def _compare_with(self, name: str, old: Run, new: Run) -> _Compared:
        if not new.ran:
            return _Compared(name, trouble=f"the changed model does not run in TFLite itself ({new.error})")
        compared = _Compared(name)
        olds, news = _outputs(old), _outputs(new)
        if [shape for shape, _ in olds] != [shape for shape, _ in news]:
            compared.trouble = "an output would have another shape"
            return compared
        for (_, before), (_, after) in zip(olds, news, strict=True):
            for one, other in zip(after, before, strict=True):
                error = compare_values(one, other)
                if error is not None:
                    compared.absolute = max(compared.absolute, error[0])
                    compared.relative = max(compared.relative, error[1])
        return compared

    # The real run

    def _verify(self, path: Path, result: FileResult) -> Verification:
        profile = load_profile(self.runtime, self.target.cpu)
        plan = make_plan(result.after.plan.model, profile)
        return compare(str(path), plan, self.observe(path))

    def _paths(self) -> Iterator[str]:
        while self._queue:
            yield self._queue.popleft()

    def _pair(self, name: str, command: list[str]) -> list[Worker]:
        """Two workers, since each keeps only its last outputs."""
        workers = [
            Worker(command, self.host.environment, self.folder / f"{name}-{side}", 200, _TIMEOUT) for side in "ab"
        ]
        for worker in workers:
            self._stack.callback(worker.close)
        return workers


def _run_trouble(verified: Verification) -> str:
    """Why the real run does not prove the file, or ""."""
    observation = verified.observation
    assert observation is not None
    if verified.differs:
        what = ", ".join(verified.differs)
        return f"the real run was not as predicted ({what}: {observation.outcome} instead of {_outcome(verified)})"
    if verified.exit_code == DIFFERS:
        return f"the real run's outcome is {observation.outcome}"
    if verified.agrees is None:
        return f"the real run could not be judged: {observation.undecided or observation.error}"
    return ""


def _outcome(verified: Verification) -> str:
    return verified.plan.outcome.value if verified.plan is not None else "?"


def _outputs(run: Run) -> list[tuple[tuple[int, ...], list[np.ndarray]]]:
    """Shape and one array per seed, of each output in order."""
    assert run.tensors is not None and run.answer is not None
    found = []
    for position, tensor in enumerate(run.tensors["outputs"]):
        dtype: np.dtype[Any] = DTYPES.get(tensor["type"], np.dtype(np.uint8))
        arrays = [np.fromfile(files[position], dtype) for files in run.answer["outputs"]]
        found.append((tuple(run.answer["shapes"][position]), arrays))
    return found
