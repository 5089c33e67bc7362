"""What a prediction says: values without the machinery that makes them, which reports need."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from xnnlint.cost.profile import CostProfile
    from xnnlint.xnnpack.plan import Outcome


class OperatorCost(NamedTuple):
    """One operator's predicted time.

    Attributes:
        op: index of the TFLite operator it comes from.
        name: that operator's name, in the user's words.
        kernel: the operator's name as the profiler prints it; the TFLite type where TFLite runs it itself.
        family: the rates that were used.
        partition: index of the delegate partition; None where TFLite runs it itself.
        microseconds: the time; of what `is_guess` the order of magnitude.
        error: its standard error, microseconds.
        is_guess: no rates of this kernel were measured.
    """

    op: int
    name: str
    kernel: str
    family: str
    partition: int | None
    microseconds: float
    error: float
    is_guess: bool = False


class Prediction(NamedTuple):
    """A whole run's predicted time.

    Attributes:
        operators: XNNPACK's operators as in `plan.operators`, then those that TFLite runs itself.
        rest: microseconds beside the operators.
        total, low, high: microseconds, and the interval of nine in ten.
        pointwise: the share of the time that is in 1x1 convolutions, 0 to 1.
        guessed: the share of the time that is a guess, 0 to 1.
        profile: whose rates these are.
        measured_on_cpu: whether they were measured on the kind of CPU that the plan is for.
    """

    operators: tuple[OperatorCost, ...]
    rest: float
    total: float
    low: float
    high: float
    pointwise: float
    guessed: float
    profile: CostProfile
    measured_on_cpu: bool


class Gain(NamedTuple):
    """What the sparse path brings: one model, planned with it and without it for the same CPU.

    Attributes:
        dense, sparse: the two predictions; equal operators where the plan is dense.
        ratio, low, high: how many times as fast sparse is, and the interval of nine in ten.
        share: of zeros that the 1x1 kernels were assumed to have; None where they are what the file has.
        outcome: what the assumed or real model does.
    """

    dense: Prediction
    sparse: Prediction
    ratio: float
    low: float
    high: float
    outcome: Outcome
    share: float | None = None

    @property
    def measured_on_cpu(self) -> bool:
        return self.sparse.measured_on_cpu
