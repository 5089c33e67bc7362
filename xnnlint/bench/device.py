"""A model on a device: its log beside the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from xnnlint.errors import XnnlintError
from xnnlint.runtime.ratio import Ratio

from .device_log import DeviceLog, Entry, read_log
from .measure import Side
from .operators import Ran, TimedOperator, timed_operators
from .variants import Variant, model_bytes

if TYPE_CHECKING:
    from xnnlint.cost.profile import CostProfile
    from xnnlint.xnnpack.plan import Plan
    from xnnlint.xnnpack.profile import Profile


class DeviceRun(Struct, frozen=True):
    """One or two variants of a model as they ran on a device.

    Attributes:
        path: the model as given; with two, the second one.
        profile: the runtime that fits the logs best, of those that were asked for.
        sides, logs: one or two, in the order given.
        rates: of the predicted times; None where there are none for that CPU.
    """

    path: str
    profile: Profile
    sides: tuple[Side, ...]
    logs: tuple[DeviceLog, ...]
    rates: CostProfile | None = None

    @property
    def ratio(self) -> Ratio | None:
        """How many times as fast the second is as the first; None where there is no second."""
        if len(self.sides) < 2:
            return None
        before, after = (side.microseconds for side in self.sides)
        return Ratio(before / after) if before and after else None

    @property
    def differing(self) -> list[TimedOperator]:
        """The operators that did not run as predicted."""
        return [operator for side in self.sides for operator in side.operators if not operator.agrees]

    @property
    def exit_code(self) -> int:
        """1: something ran differently than predicted, the predicted results are wrong, or the second is slower."""
        is_right = all(side.variant.plan.is_correct for side in self.sides)
        is_slower = self.ratio is not None and self.ratio.is_slower
        return 1 if self.differing or not is_right or is_slower else 0


def read_runs(
    models: Sequence[str], logs: Sequence[str], profiles: Iterable[Profile], rates: CostProfile | None = None
) -> DeviceRun:
    """One or two models beside what `benchmark_model` printed of each.

    Args:
        profiles: the runtimes that may have run; the first of those in which fewest operators differ is taken.
        rates: predicted times; None for those that come with xnnlint.

    Raises:
        XnnlintError: a model or a log cannot be read, or there is not one log for each model.
    """
    if len(models) != len(logs) or not 1 <= len(models) <= 2:
        raise XnnlintError(f"--log: {len(models)} models and {len(logs)} logs; give one or two models, a log for each")
    from xnnlint.cost.profile import shipped_profile

    read = [read_log(path) for path in logs]
    data = [model_bytes(path) for path in models]
    labels = ("measured",) if len(models) == 1 else ("first", "second")
    best: DeviceRun | None = None
    for profile in profiles:
        sides = tuple(
            _side(label, model, content, log, profile, rates)
            for label, model, content, log in zip(labels, models, data, read, strict=True)
        )
        run = DeviceRun(models[-1], profile, sides, tuple(read), rates or shipped_profile(profile.cpu))
        if best is None or len(run.differing) < len(best.differing):
            best = run
        if not best.differing:
            break
    assert best is not None
    return best


def _side(label: str, path: str, data: bytes, log: DeviceLog, profile: Profile, rates: CostProfile | None) -> Side:
    from xnnlint.loaders.tflite.read_tflite import load_bytes
    from xnnlint.xnnpack.planner import make_plan

    plan = make_plan(load_bytes(data, path), profile)
    operators = timed_operators(plan, ran_as(log, plan))
    return Side(Variant(label, path, data, plan), log.microseconds, _with_predictions(operators, plan, rates))


def ran_as(log: DeviceLog, plan: Plan) -> Ran:
    """The run that a log's rows stand for.

    In rows that stand for several partitions the plan says which of them has the operator; where it is the only one,
    the plan plays no part.
    """
    left = {(entry.kernel, entry.index): entry.calls for entry in log.xnnpack}
    times = {(entry.kernel, entry.index): entry.microseconds for entry in log.xnnpack}
    found: list[tuple[str, int]] = []
    partitions = _of_partitions(plan)
    for place, planned in enumerate(partitions):
        found += _partition(planned, left, is_last=place == len(partitions) - 1)
    found += [key for key, calls in left.items() for _ in range(calls)]
    tflite = _in_order(log.tflite, plan)
    return Ran(
        tuple(kernel for kernel, _ in found),
        tuple(index for _, index in found),
        tuple(times[key] for key in found),
        tuple(entry.kernel for entry in tflite),
        tuple(entry.microseconds for entry in tflite),
    )


def _of_partitions(plan: Plan) -> list[list[str]]:
    """The planned operators' names, partition by partition."""
    parts: dict[int, list[str]] = {}
    for kernel in plan.operators:
        parts.setdefault(kernel.partition, []).append(kernel.kernel)
    return list(parts.values())


def _partition(planned: Sequence[str], left: dict[tuple[str, int], int], *, is_last: bool) -> Iterator[tuple[str, int]]:
    """Takes a partition's operators out of what is left: in each place the planned one, or another where that is not
    there; the last partition takes as many as there are."""
    for number in count() if is_last else range(len(planned)):
        key = (planned[number], number) if number < len(planned) else ("", number)
        if not left.get(key):
            others = (other for other, calls in left.items() if calls and other[1] == number)
            key = next(others, ("", -1))
        if not left.get(key):
            return
        left[key] -= 1
        yield key


def _in_order(entries: Sequence[Entry], plan: Plan) -> list[Entry]:
    """TFLite's own operators in the order in which the plan runs them."""
    order = {op: place for place, op in enumerate(plan.tflite_ops)}
    return sorted(entries, key=lambda entry: order.get(entry.index, len(order)))


def _with_predictions(
    operators: tuple[TimedOperator, ...], plan: Plan, rates: CostProfile | None
) -> tuple[TimedOperator, ...]:
    """The same with the cost model's times, where there are any for the CPU."""
    from xnnlint.cost.predictor import predict

    prediction = predict(plan, rates)
    if prediction is None:
        return operators
    xnnpack = iter(prediction.operators[: len(plan.operators)])
    tflite = iter(prediction.operators[len(plan.operators) :])
    found = []
    for operator in operators:
        if operator.predicted is None:
            found.append(operator)
        else:
            cost = next(tflite if operator.family.value == "tflite" else xnnpack)
            found.append(replace(operator, predicted_microseconds=cost.microseconds))
    return tuple(found)
