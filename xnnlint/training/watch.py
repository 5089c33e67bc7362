"""What a training run wants to know, of a model in memory or of a file that it has exported.

Before the first step: what pruning would bring, and which weights the runtime will count together. After every epoch:
the zeros of those clusters, measured as `xnnlint check` measures them in the saved model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from xnnlint.linter.engine import check_loaded
from xnnlint.linter.findings import smallest_set
from xnnlint.linter.speed import USUAL_SHARE
from xnnlint.linter.wanted import Wanted
from xnnlint.loaders import load_any
from xnnlint.xnnpack.layout import passes_zeros_test
from xnnlint.xnnpack.plan import Outcome, pointwise_ops
from xnnlint.xnnpack.profile import DEFAULT_CPU, DEFAULT_RUNTIME, load_profile

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding, ModelReport
    from xnnlint.linter.pruning_forecast import PruningForecast
    from xnnlint.xnnpack.plan import Plan


class ClusterZeros(Struct, frozen=True):
    """The weights that the runtime counts together, and how many of them are zero.

    Attributes:
        layers: the names of their layers, in the order of the model.
        weights, zeros: elements of these weights.
    """

    layers: tuple[str, ...]
    weights: int
    zeros: int

    @property
    def share(self) -> float:
        """Of zeros, 0 to 1."""
        return self.zeros / self.weights if self.weights else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether strictly more than two thirds are zero."""
        return passes_zeros_test(self.zeros, self.weights)


class Start(Struct, frozen=True):
    """What is known before the first step.

    Attributes:
        report: of the model, taken as pruned to `share`.
        share: of zeros, 0 to 1.
        clusters: layers that the runtime would count together; all 1x1 convolutions as one where the pruned model would
            not run sparse.
    """

    report: ModelReport
    share: float
    clusters: tuple[tuple[str, ...], ...]

    @property
    def pays(self) -> bool:
        """Whether the pruned network would run sparse and right, and be predicted faster than dense where times are
        predicted."""
        forecast = self.forecast
        return forecast.outcome is Outcome.SPARSE and (forecast.gain is None or forecast.gain.ratio > 1)

    @property
    def forecast(self) -> PruningForecast:
        """What becomes of the pruned model."""
        (forecast,) = self.report.if_pruned
        return forecast

    @property
    def blockers(self) -> list[Finding]:
        """The smallest set of findings that stand between the pruned model and sparse; what pruning itself mends is
        none of them."""
        return [] if self.forecast.outcome is Outcome.SPARSE else smallest_set(self.report.findings)


class Look(Struct, frozen=True):
    """What the model is after an epoch.

    Attributes:
        report: of the model as it is.
        clusters: the zeros of each cluster of `Start`.
    """

    report: ModelReport
    clusters: tuple[ClusterZeros, ...]

    @property
    def outcome(self) -> Outcome:
        return _plan(self.report).outcome

    @property
    def spmm(self) -> int:
        """1x1 convolutions that run SpMM."""
        summary = _plan(self.report).summary
        return summary.spmm if summary is not None else 0

    @property
    def least(self) -> float | None:
        """The smallest share of zeros among the clusters; None without any."""
        return min((cluster.share for cluster in self.clusters), default=None)

    @property
    def missing(self) -> list[Finding]:
        """The smallest set of findings that stand between this model and sparse."""
        return smallest_set(self.report.findings)


class TrainingWatch:
    """Looks at one network again and again.

    Args:
        model: a Keras model in memory, or the path of a file that can be checked. Pruning wrappers are looked through.
        share: the share of zeros that it will be pruned to, between 0 and 1.
        runtime, cpu: as in `xnnlint profiles`.

    Raises:
        XnnlintError: the model cannot be read, or the runtime or CPU is not known.
    """

    def __init__(
        self, model: Any, *, share: float = USUAL_SHARE, runtime: str | None = None, cpu: str | None = None
    ) -> None:
        self._profile = load_profile(runtime or DEFAULT_RUNTIME, cpu or DEFAULT_CPU)
        report = check_loaded(load_any(model, assume_pruned=share), self._profile, wanted=Wanted((share,)))
        self.start = Start(report, share, tuple(_clusters(_pruned(report, share))))

    def look(self, model: Any) -> Look:
        """The model, or the file, as it is now.

        Raises:
            XnnlintError: it cannot be read.
        """
        report = check_loaded(load_any(model), self._profile)
        counted = _weights(_plan(report))
        return Look(report, tuple(_zeros(layers, counted) for layers in self.start.clusters))


def _plan(report: ModelReport) -> Plan:
    assert report.plan is not None
    return report.plan


def _pruned(report: ModelReport, share: float) -> Plan:
    """The plan of the pruned model: a Keras model was read as pruned, a .tflite file is what it is."""
    plan = _plan(report)
    if plan.model.assume_pruned == share:
        return plan
    from xnnlint.cost import plan_if_pruned

    return plan_if_pruned(plan, share) or plan


def _clusters(plan: Plan) -> list[tuple[str, ...]]:
    if plan.outcome is not Outcome.SPARSE:
        operators = plan.graph.operators
        return [tuple(dict.fromkeys(operators[op].name for op in pointwise_ops(plan.graph)))]
    counted, found = _weights(plan), []
    for part in plan.partitions:
        for cluster in part.decision.clusters if part.decision.armed else ():
            names = [plan.graph.operators[part.nodes[node].op].name for node in cluster.nodes]
            layers = tuple(dict.fromkeys(name for name in names if name in counted))
            if layers and not cluster.broken_by:
                found.append(layers)
    return found


def _weights(plan: Plan) -> dict[str, tuple[int, int]]:
    """(elements, zeros) of every 1x1 and fully-connected weight, by the name of its layer."""
    assert plan.planner is not None
    found = {}
    for op in plan.graph.operators:
        if op.type not in ("CONV_2D", "FULLY_CONNECTED") or len(op.inputs) < 2:
            continue
        shape = plan.graph.tensors[op.inputs[1]].shape
        if op.type == "FULLY_CONNECTED" or shape[1:3] == (1, 1):
            found[op.name] = plan.planner.weight_zeros(op)
    return found


def _zeros(layers: tuple[str, ...], counted: dict[str, tuple[int, int]]) -> ClusterZeros:
    found = [counted[layer] for layer in layers if layer in counted]
    return ClusterZeros(layers, sum(elements for elements, _ in found), sum(zeros for _, zeros in found))
