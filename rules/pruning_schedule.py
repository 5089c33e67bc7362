"""XNN307: a pruning schedule that cannot end in a sparse model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.linter.findings import Applicability, Finding, Location, Severity
from xnnlint.linter.rule import Rule
from xnnlint.linter.schedule_forecast import plan_at_end
from xnnlint.model.weights import measure
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, passes_zeros_test
from xnnlint.xnnpack.plan import Plan, pointwise_ops

from ._pruning import PRUNED_SHARE, THRESHOLD, percent, weights_of

_TOLD = 3


class PruningSchedule(Rule):
    """Layers are being pruned in a way that leaves too few zeros, or zeros that the runtime cannot use.

    ## What it does
    Reads the schedules of TFMOT's PruneLowMagnitude wrappers in Keras models (`PolynomialDecay`, `ConstantSparsity`),
    and finds those whose end leaves the 1x1 weights with $threshold zeros or fewer, patterns of m zeros in n weights
    that can never pass that, blocks, and 1x1 convolutions that are not wrapped.

    ## Why it matters
    Pruning takes days of training. SpMM runs where more than two thirds of all 1x1 weights of a cluster are zero,
    those of layers without a wrapper counted, too. It reads single weights, so that zeros in blocks cost accuracy and
    bring nothing; Dense layers in blocks are stored in a way that XNNPACK does not take. What a schedule ends in can be
    forecast before the first step.

    ## Example
    ```python
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.5, begin_step=0, end_step=10000)
    ```

    ## Use instead
    ```python
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, begin_step=0, end_step=10000)
    ```

    ## Fix safety
    Unsafe: other zeros are other weights.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_schedule.py, and
      prune.py, `prune_low_magnitude`: block_size, sparsity_m_by_n
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: the two-thirds test
    """

    code = "XNN307"
    name = "pruning-schedule-ends-dense"
    severity = Severity.ERROR
    summary = "pruning schedules must leave more than two thirds of a cluster's 1x1 weights zero, as single weights"
    limits = {"threshold": THRESHOLD}
    of_whole_graph = True

    def check(self, plan: Plan) -> Iterable[Finding]:
        schedules = dict(plan.model.schedules)
        if not schedules:
            return
        patterns = {name: s.pattern for name, s in schedules.items() if s.pattern is not None and _is_low(s.share)}
        if patterns:
            m, n = next(iter(patterns.values()))
            yield self._found(
                f"{m} of every {n} weights become zero, which never passes two thirds",
                f"no pattern, or one with more than {THRESHOLD} zeros",
                f"{m} by {n} at {_listed(list(patterns))}",
                "prune to a final sparsity of 0.8 without sparsity_m_by_n",
                next(iter(patterns)),
            )
        blocks = {name: s.block for name, s in schedules.items() if s.block != (1, 1)}
        if blocks:
            high, wide = next(iter(blocks.values()))
            yield self._found(
                "weights become zero in blocks, which SpMM cannot use, and Dense layers in blocks leave XNNPACK",
                "block_size=(1, 1)",
                f"({high}, {wide}) at {_listed(list(blocks))}",
                "prune without block_size",
                next(iter(blocks)),
                severity=Severity.WARNING,
            )
        yield from self._at_end(plan, schedules, patterned=bool(patterns))

    def _at_end(self, plan: Plan, schedules: dict[str, object], *, patterned: bool) -> Iterable[Finding]:
        end = plan_at_end(plan)
        judged = end or plan
        ops = pointwise_ops(judged.graph)
        bare = [op for op in ops if judged.graph.operators[op].name not in schedules and not _is_pruned(judged, op)]
        if bare and len(bare) < len(ops):
            names = [judged.graph.operators[op].name for op in bare]
            yield self._found(
                "1x1 convolutions are not wrapped, so their weights count unpruned",
                "every 1x1 convolution of a cluster wrapped",
                f"not wrapped: {_listed(names)}",
                "wrap them in prune_low_magnitude, too",
                names[0],
                severity=Severity.WARNING,
            )
        weights = weights_of(judged, ops)
        if end is None or patterned or not weights.elements or passes_zeros_test(weights.zeros, weights.elements):
            return
        lowest = min(schedules, key=lambda name: dict(plan.model.schedules)[name].share)
        yield self._found(
            "the pruning schedule ends with too few zeros",
            f"more than {NUMERATOR}/{DENOMINATOR} ({THRESHOLD}) zeros over the cluster",
            f"{percent(weights.share)} ({weights.zeros} of {weights.elements} weights) at its end",
            "let the schedule end at a sparsity of 0.75 to 0.8",
            lowest,
        )

    def _found(
        self, message: str, required: str, actual: str, fix: str, name: str, severity: Severity = Severity.ERROR
    ) -> Finding:
        return self.finding(
            message,
            severity=severity,
            required=required,
            actual=actual,
            location=Location(name=name),
            fix=fix,
            applicability=Applicability.UNSAFE,
        )


def _is_low(share: float) -> bool:
    return share * DENOMINATOR <= NUMERATOR


def _is_pruned(plan: Plan, op: int) -> bool:
    measured = measure(plan.graph, plan.graph.operators[op].inputs[1])
    return measured is not None and measured.zero_share >= PRUNED_SHARE


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")
