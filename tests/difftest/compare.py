"""Prediction beside observation: what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xnnlint.errors import XnnlintError
from xnnlint.runtime.observation import Observation

CONVOLUTIONS = ("Convolution", "Fully Connected", "Deconvolution")


@dataclass(frozen=True)
class Prediction:
    """What is said of a model without running it.

    Args:
        outcome: one of the four outcomes; None where nothing could be said.
        operators: XNNPACK's operators in order, by the names of LiteRT's profiler.
        tflite_ops: how many operators TFLite runs itself.
        hazards: why results are wrong or the model fails, in words.
        error: why nothing could be said.
        open_end: whether the runtime reads past the end of the file, so that it may as well crash as give garbage.
    """

    outcome: str | None
    operators: tuple[str, ...] = ()
    tflite_ops: int | None = None
    hazards: tuple[str, ...] = ()
    error: str | None = None
    open_end: bool = False

    def allows(self, outcome: str) -> bool:
        """Whether an observed outcome is the predicted one, or as likely."""
        return outcome == self.outcome or (self.open_end and outcome in ("wrong-results", "fails"))


Predictor = Callable[[Path], Prediction]


@dataclass(frozen=True)
class Comparison:
    """One model's two views.

    `differs` names what does: `error` (no prediction), `outcome`, `kernels` (convolutions and fully-connected
    operators in order), `operators` (all of XNNPACK's), `tflite-ops` (how many TFLite ran itself).
    """

    name: str
    prediction: Prediction
    observation: Observation
    differs: tuple[str, ...]

    @property
    def undecided(self) -> str | None:
        return self.observation.undecided if self.observation.outcome is None else None

    def to_json(self) -> dict[str, Any]:
        observed = self.observation.to_json()
        return {"name": self.name, "differs": self.differs, "predicted": asdict(self.prediction), "observed": observed}


def compare(name: str, prediction: Prediction, observation: Observation) -> Comparison:
    """Compares what can be: a model that doesn't run has no operators, and without a reference there is no outcome."""
    differs = []
    if prediction.outcome is None:
        differs.append("error")
    else:
        if observation.outcome is not None and not prediction.allows(observation.outcome):
            differs.append("outcome")
        if observation.kernels is not None:
            if convolutions(observation.kernels) != convolutions(prediction.operators):
                differs.append("kernels")
            if observation.kernels != prediction.operators:
                differs.append("operators")
        if observation.tflite_ops is not None and prediction.tflite_ops not in (None, len(observation.tflite_ops)):
            differs.append("tflite-ops")
    return Comparison(name, prediction, observation, tuple(differs))


def convolutions(operators: Iterable[str]) -> tuple[str, ...]:
    """The convolutions and fully-connected operators among them."""
    return tuple(name for name in operators if name.startswith(CONVOLUTIONS))


def plan_predictor(runtime: str, cpu: str) -> Predictor:
    """Predicts with `xnnlint.xnnpack.plan.make_plan` for a runtime profile on a CPU profile."""
    from xnnlint.linter.fault_words import fault_words
    from xnnlint.loaders import load
    from xnnlint.xnnpack.plan import Outcome
    from xnnlint.xnnpack.planner import make_plan
    from xnnlint.xnnpack.profile import load_profile

    profile = load_profile(runtime, cpu)

    def predict(path: Path) -> Prediction:
        try:
            plan = make_plan(load(path), profile)
        except XnnlintError as error:
            return Prediction(None, error=str(error))
        except Exception as error:  # a bug of the planner is a finding of the hunt, not its end
            return Prediction(None, error=f"{type(error).__name__}: {error}")
        return Prediction(
            plan.outcome.value,
            tuple(kernel.kernel for kernel in plan.operators),
            len(plan.tflite_ops),
            tuple(
                f"{hazard.kind.value} at operator {hazard.op}: {fault_words(hazard.fault)}" for hazard in plan.hazards
            ),
            open_end=not plan.is_correct and plan.allows(Outcome.FAILS) and plan.allows(Outcome.WRONG_RESULTS),
        )

    return predict


class Observer:
    """Observes models one at a time with children that stay alive between them."""

    def __init__(self, **options: Any) -> None:
        """`options` are those of `xnnlint.runtime.observe.observe`."""
        from xnnlint.runtime.observe import observe

        self._next: list[Path] = []
        self._stream = observe(self._paths(), **options)  # type: ignore[arg-type]

    def __call__(self, path: Path) -> Observation:
        self._next.append(path)
        return next(self._stream)

    def close(self) -> None:
        self._stream.close()  # type: ignore[attr-defined]

    def _paths(self) -> Iterator[Path]:
        while self._next:
            yield self._next.pop()
