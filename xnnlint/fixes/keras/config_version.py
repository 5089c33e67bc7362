"""A Keras model's config with some changes made, and what the runtime would do with the model once it is converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from xnnlint.fixes.judge import Judge
from xnnlint.fixes.request import FixRequest
from xnnlint.keras.description import KerasModel
from xnnlint.keras.lower.to_graph import lower
from xnnlint.keras.policy.verdicts import judge
from xnnlint.linter.engine import find
from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.policy_check import PolicyCase, policy_rules
from xnnlint.loaders.keras.read_config import read_model
from xnnlint.loaders.keras.read_variables import variable_names
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import passes_zeros_test
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.change import Change
    from xnnlint.xnnpack.profile import Profile

# What a model that is not pruned yet is taken to be pruned to; the runtime wants more than two thirds.
USUAL_SPARSITY = 0.8
# What training mends, and no change of layers.
_OF_PRUNING = (Condition.ENOUGH_ZEROS, Condition.STORED_SPARSE, Condition.PRUNED)

FindingPlace = tuple[str, str]
"""A rule, and the layer at which it found something."""


class ConfigVersion(Struct, frozen=True):
    """A model, and what the runtime would do with it.

    Attributes:
        keras: as read from the file.
        assumed: the share of zeros that its 1x1 kernels are taken to have, or None for those that they have.
        document: the config with the changes.
        changes: in the order in which they are made.
        microseconds: predicted time of a run; 0 where nothing can be said.
    """

    keras: KerasModel
    plan: Plan
    findings: list[Finding]
    assumed: float | None
    document: dict[str, Any]
    changes: tuple[Change, ...] = ()
    microseconds: float = 0.0

    @property
    def reach(self) -> tuple[int, ...]:
        """How many convolutions run SpMM."""
        return (len(self.spmm),)

    def standing(self) -> list[Finding]:
        """The findings that stand between the model and sparse, or make it wrong."""
        for_training = _OF_PRUNING if self.assumed is None else (*_OF_PRUNING, Condition.WRAPPERS_STRIPPED)
        return [f for f in self.findings if f.is_asking and f.condition not in for_training]

    def places(self) -> Counter[FindingPlace]:
        """The same by rule and layer."""
        return Counter((f.rule, f.location.name) for f in self.standing())

    @property
    def spmm(self) -> frozenset[int]:
        """The operators that run SpMM, without those of layers that changes put in to move channels."""
        return frozenset(self._without_moving(self.plan.spmm_ops))

    @property
    def pointwise(self) -> frozenset[int]:
        """The 1x1 convolutions, and what else runs SpMM, without the same ones."""
        return frozenset(self._without_moving(pointwise_ops(self.plan.graph))) | self.spmm

    def grown_layers(self, before: KerasModel) -> list[str]:
        """The layers whose weights stand among zeros in a larger kernel now."""
        old = {"/".join(layer.path): next(iter(layer.weights.values()), None) for layer in before.all_layers()}
        kernels = {path: arrays[0] for path, arrays in self.new_weights.items()}
        return [path for path, kernel in kernels.items() if (was := old.get(path)) and kernel.size > was().size]

    def _without_moving(self, ops: Iterable[int]) -> Iterator[int]:
        moving = {name for change in self.changes for name in change.moving}
        return (op for op in ops if self.plan.graph.operators[op].name not in moving)

    @property
    def new_weights(self) -> dict[str, tuple[np.ndarray, ...]]:
        """Those of layers that were put in, by the layer's path, in the order of its variables."""
        return weights_of(self.changes)


def forecast(
    keras: KerasModel,
    document: dict[str, Any],
    path: str,
    format_: str,
    profile: Profile,
    assumed: float | None,
    *,
    policy: bool = False,
    changes: tuple[Change, ...] = (),
) -> ConfigVersion:
    """Plans a model; with `policy`, what TFMOT's pruning policy refuses is among the findings."""
    plan = make_plan(lower(keras, path=path, format=format_, assume_pruned=assumed), profile)
    findings = find(plan)
    if policy:
        case = PolicyCase(judge(keras), plan)
        findings += [f for rule in policy_rules() for f in rule.check_policy(case) if f.severity is Severity.ERROR]
    time = Judge.of(profile.cpu).microseconds(plan)
    return ConfigVersion(keras, plan, findings, assumed, document, changes, time)


def first_forecast(
    keras: KerasModel, document: dict[str, Any], path: str, format_: str, options: FixRequest
) -> ConfigVersion:
    """The model as it is; one that is not pruned yet is taken to be."""
    plan = partial(forecast, keras, document, path, format_, options.profile, policy=options.policy)
    if options.assume_pruned is not None:
        return plan(options.assume_pruned)
    as_it_is = plan(None)
    summary = as_it_is.plan.summary
    pruned = summary is not None and passes_zeros_test(summary.pointwise_zeros, summary.pointwise_params)
    return as_it_is if pruned else plan(USUAL_SPARSITY)


def weights_of(changes: Iterable[Change]) -> dict[str, tuple[np.ndarray, ...]]:
    return {path: arrays for change in changes for path, arrays in change.weights.items()}


def with_weights_of(
    document: dict[str, Any], original: KerasModel, new: Mapping[str, tuple[np.ndarray, ...]]
) -> KerasModel:
    """The model of a changed config; layers that were there before keep their weights.

    That Keras gives them the same ones is what `layer_order.misplaced` proves.
    """
    model = read_model(document, "3" if original.dialect == "keras3" else "2")
    before = {layer.path: layer for layer in original.all_layers()}
    for layer in model.all_layers():
        if (old := before.get(layer.path)) is not None:
            layer.weights, layer.declared = old.weights, old.declared
        if (path := "/".join(layer.path)) in new:
            named = zip(variable_names(layer), new[path], strict=True)
            layer.weights = {name: partial(_given, array) for name, array in named}
    model.has_weights = original.has_weights
    return model


def _given(array: np.ndarray) -> np.ndarray:
    return array
