"""What a run showed, and the outcome that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from xnnlint.runtime.broken import Broken
from xnnlint.runtime.execution import Execution, place

Status = Literal["ran", "error", "crash", "hang", "timeout", "unreadable"]
Outcome = Literal["sparse", "dense", "wrong-results", "fails"]

Unit = Literal["step", "relative", "share"]

WRONG_ABOVE = 1e-3
"""Relative error of an output above which the results are wrong."""
ROUNDING_BELOW = 0.05
"""Where the dense XNNPACK run itself is off by more than this, that is not called rounding any more."""
ROUNDING_FACTOR = 10.0
"""How much more than the dense XNNPACK run's own rounding error is still called rounding."""
_SMALLEST_SCALE = 1e-6
SPREAD_FACTOR = 2.0
"""How much further than the others are from each other an output of a quantized model may lie: few inputs do not show
how far that can be, where a softmax behind makes 20 steps of one."""
# What is rounding whatever others show: where a number lies between two steps, either is right.
_LEAST: dict[Unit, float] = {"step": 1.0, "relative": WRONG_ABOVE, "share": 0.0}
# In the error of an operator that was set up, and then refused the numbers that it got: random ones mean nothing to a
# model that divides by them, or takes them for places. Source: tflite/core/subgraph.cc, `Subgraph::InvokeImpl`.
_INVOKED = "failed to invoke"


class OutputError(Struct, frozen=True):
    """One output tensor compared with the dense reference, elements in memory order, worst of all seeds.

    Attributes:
        index, name, dtype: of the tensor in the file.
        shape: as the runtime reports it after the run.
        reference_shape: as the reference reports it; None where there is no reference.
        shape_differs: the two shapes are not the same; the elements may agree nevertheless.
        max_abs_error: max |a - b|.
        max_rel_error: max |a - b| / max(max |b|, 1e-6), b being the reference of the same seed. Infinite where one is
            finite and the other is not, or where the numbers of elements differ; None where nothing was compared,
            or nothing is finite on either side.
        rounding: the same relative error of the dense XNNPACK run (x86 with AVX), where it was worth asking.
        response: how much the reference changes from seed to seed, relative to its largest element; None with one seed.
        unit: of a quantized model's output in which it was worth asking: "step" (of the output's scale), "relative" (to
            the largest element of the reference), or "share" (of the elements that differ, of an output of indices).
        nearest: in that unit, the error against the nearest of LiteRT's reference kernels, its optimized kernels, and a
            float evaluation of the file.
        spread: how far the most distant two of these are from each other.
        nonfinite: how many elements are NaN or infinite; nonfinite_reference: of the reference.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    reference_shape: tuple[int, ...] | None
    shape_differs: bool
    max_abs_error: float | None
    max_rel_error: float | None
    nonfinite: int
    nonfinite_reference: int
    rounding: float | None = None
    response: float | None = None
    unit: Unit | None = None
    nearest: float | None = None
    spread: float | None = None

    @property
    def wrong(self) -> bool:
        """Whether the error is more than rounding can explain."""
        error = self.max_rel_error
        if error is None or error <= WRONG_ABOVE:
            return False
        if self.unit is not None and self.nearest is not None and self.spread is not None:
            return self.nearest > SPREAD_FACTOR * self.spread + _LEAST[self.unit]
        rounding = self.rounding
        return rounding is None or rounding > ROUNDING_BELOW or error > ROUNDING_FACTOR * rounding


class SubgraphRun(Struct, frozen=True):
    """What one inference ran of a subgraph that operators call, such as the body of a WHILE.

    Attributes:
        subgraph: its index in the file.
        times: how often it ran that way.
        kernels, kernel_indices, tflite_ops: of one time, as in `Observation`.
    """

    subgraph: int
    times: int
    kernels: tuple[str, ...]
    kernel_indices: tuple[int, ...]
    tflite_ops: tuple[str, ...]


# Below this, an output is the same for all inputs, up to rounding.
NO_RESPONSE = 1e-5


class Observation(Struct, frozen=True):
    """One model run in the real runtime.

    Attributes:
        path: as given.
        status: "ran"; "error" (the runtime returned one); "crash" (a signal); "hang": no end in a time that is long
            beside what the reference needed; "timeout": none in the time that was allowed; "unreadable": the runtime
            could not even read the file.
        error: the runtime's words; for a crash the signal's name first. None where it ran.
        kernels: XNNPACK's operators in the order in which one inference ran them (profiler events of type 8). None
            where the model did not run or the release does not profile.
        kernel_indices: XNNPACK's own number of each of them; it starts again at 0 with each delegate partition.
        tflite_ops: operators that TFLite ran itself (events of type 2), without the delegate's node.
        called: what ran of other subgraphs than the main one, of which the three above are; None where the release does
            not tell.
        outputs: every output; empty where the model did not run.
        reference: what the outputs were compared with: "kernels" (LiteRT's reference kernels, on a copy of the file
            where they would misread its sparse tensors); where those cannot run
            the model, "optimized-kernels" (LiteRT's own, without any delegate) or else "xnnpack-avx" (the dense
            XNNPACK run on the host, which shares the delegate's mistakes); or None.
        reference_error: why there is no better reference.
        litert: version of the runtime; cpu: the CPU profile's name; execution: how the run saw that CPU.
        outcome: "sparse", "dense", "wrong-results", "fails", or None for the reason in `undecided`.
        broken: whether LiteRT's kernels without a delegate go wrong, too, and how.
        seconds: wall time of everything.
    """

    path: str
    status: Status
    error: str | None
    kernels: tuple[str, ...] | None
    kernel_indices: tuple[int, ...] | None
    tflite_ops: tuple[str, ...] | None
    outputs: tuple[OutputError, ...]
    reference: str | None
    reference_error: str | None
    litert: str
    cpu: str
    execution: Execution
    outcome: Outcome | None
    undecided: str | None
    seconds: float
    called: tuple[SubgraphRun, ...] | None = ()
    broken: Broken | None = None

    @property
    def emulated(self) -> bool:
        """Whether user-mode emulation ran it."""
        return self.execution is Execution.EMULATED

    @property
    def place(self) -> str:
        """Where it ran, in words."""
        return place(self.litert, self.cpu, self.execution)

    @property
    def spmm(self) -> int | None:
        """How many sparse matrix multiplications there are in what ran; None where not profiled. Those of a subgraph
        count once, however often it ran."""
        if self.kernels is None:
            return None
        called = (kernel for run in self.called or () for kernel in run.kernels)
        return sum(map(is_spmm, (*self.kernels, *called)))

    @property
    def partitions(self) -> int | None:
        """How many XNNPACK partitions ran; None where not profiled."""
        return None if self.kernel_indices is None else self.kernel_indices.count(0)

    @property
    def max_rel_error(self) -> float | None:
        """The worst of all outputs; None where nothing was compared."""
        errors = [output.max_rel_error for output in self.outputs if output.max_rel_error is not None]
        return max(errors, default=None)

    @property
    def responds(self) -> bool:
        """Whether any output depends on the inputs; otherwise not even garbage inside would show."""
        return not self.outputs or any(o.response is None or o.response > NO_RESPONSE for o in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, strings and numbers; an infinite error is the string "inf", which JSON can hold."""
        return {**_plain(self), "emulated": self.emulated}


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def is_spmm(kernel: str) -> bool:
    return kernel.endswith(" SPMM")


def compare(observed: np.ndarray, reference: np.ndarray) -> tuple[float, float] | None:
    """Largest absolute and relative error of one output of one run, elements in memory order (see OutputError); None
    where no element is finite on both sides, nor on one only."""
    if observed.size != reference.size:
        return math.inf, math.inf
    if observed.size == 0:
        return 0.0, 0.0
    a, b = (array.reshape(-1).astype(np.float64) for array in (observed, reference))
    finite_a, finite_b = np.isfinite(a), np.isfinite(b)
    if (finite_a != finite_b).any():
        return math.inf, math.inf
    if not finite_a.any():
        return None
    error = float(np.abs(a[finite_a] - b[finite_a]).max())
    return error, error / max(float(np.abs(b[finite_a]).max()), _SMALLEST_SCALE)


def decide(
    status: Status,
    error: str | None,
    kernels: Sequence[str] | None,
    outputs: Sequence[OutputError],
    reference: str | None,
    reference_error: str | None,
    *,
    subgraphs: Sequence[str] = (),
    is_model: bool = True,
) -> tuple[Outcome | None, str | None]:
    """The outcome, or None and the reason why there is none.

    Args:
        kernels: of all subgraphs, as far as the release tells.
        subgraphs: operators that called subgraphs of which it does not tell.
        is_model: whether anybody could read the file, and there were inputs to run it with.
    """
    refused = status in ("crash", "error", "unreadable") and is_model and _INVOKED not in (error or "")
    if reference is None and reference_error and refused:
        return "fails", None  # here as everywhere: nothing else is known to run it, either
    if reference is None:
        return None, f"no dense reference: {reference_error}" if reference_error else "no dense reference was asked for"
    if status == "timeout":
        return None, error
    if status != "ran":
        return "fails", None
    if any(output.wrong for output in outputs):
        return "wrong-results", None
    if any(output.max_rel_error is None for output in outputs):
        return None, "an output has no finite element in any run, so that nothing can be compared"
    if kernels is None:
        return None, "the outputs are right, and this release does not tell which operators ran"
    if any(map(is_spmm, kernels)):
        return "sparse", None
    if subgraphs:
        return None, f"the outputs are right, and this release does not tell which operators ran in {subgraphs[0]}"
    return "dense", None
