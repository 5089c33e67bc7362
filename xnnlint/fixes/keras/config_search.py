"""Finds out what to change in a model, changes its config, and proves the result before anything is written.

The judge is the plan of the changed file: it is read and lowered again, like any model. What makes the plan worse, or
brings a finding that was not there, is undone.
"""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from xnnlint.atomic import commit, draft
from xnnlint.errors import XnnlintError
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_change import Change, Fixer
from xnnlint.fixes.keras.config_scope import CannotChange, scopes
from xnnlint.fixes.keras.depthwise import (
    AverageToHalfSum,
    NegatedSubtract,
    NormalizationWithoutConvolution,
    PoolingToDepthwise,
    ScaledMap,
    StridedPointwise,
    SumOfTheSame,
)
from xnnlint.fixes.keras.layer_order import misplaced
from xnnlint.fixes.keras.padding import PadAllSides
from xnnlint.fixes.keras.pixel_layers import (
    BilinearUpsampling,
    ClosestActivation,
    ConstantOfFourDimensions,
    PolicyActivation,
)
from xnnlint.fixes.keras.pooling import KeepDimensions, ReshapeBehindPooling, WholeMapPooling
from xnnlint.keras.description import KerasModel
from xnnlint.keras.lower.to_graph import lower
from xnnlint.keras.policy.verdicts import judge
from xnnlint.linter.engine import find
from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.policy_check import PolicyCase, policy_rules
from xnnlint.loaders.keras.read_config import Unreadable, read_model
from xnnlint.loaders.keras.read_file import read
from xnnlint.loaders.keras.read_variables import variable_names
from xnnlint.xnnpack.layout import passes_zeros_test
from xnnlint.xnnpack.plan import Outcome, Plan
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.model.graph import Operator
    from xnnlint.xnnpack.profile import Profile

FIXERS: tuple[Fixer, ...] = (
    WholeMapPooling(),
    KeepDimensions(),
    ReshapeBehindPooling(),
    ConstantOfFourDimensions(),
    PoolingToDepthwise("AveragePooling2D"),
    StridedPointwise(),
    NegatedSubtract(),
    SumOfTheSame(),
    AverageToHalfSum(),
    ScaledMap(),
    NormalizationWithoutConvolution(),
    PoolingToDepthwise("MaxPooling2D"),
    PadAllSides(),
    BilinearUpsampling(),
    PolicyActivation(),
    ClosestActivation(),
)
# What a model that is not pruned yet is taken to be pruned to; the runtime wants more than two thirds.
USUAL_SPARSITY = 0.8
# A change can uncover another finding, but only so often.
_ROUNDS = 5
# Above so many changes they are not tried one by one.
_MAX_SINGLE = 60
# Operators of which changes need to know what they read.
_SIZED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "SUB", "MUL", "DIV", "PAD")
_PRUNING_RULES = ("XNN301", "XNN302", "XNN303")

Place = tuple[str, str]


@dataclass
class Forecast:
    """What the runtime would do with a model once it is converted.

    Attributes:
        keras: as read from the file.
        assumed: the share of zeros that its 1x1 kernels are taken to have, or None for those that they have.
    """

    keras: KerasModel
    plan: Plan
    findings: list[Finding]
    assumed: float | None

    def places(self) -> Counter[Place]:
        """Findings that count, by rule and layer."""
        grave = (f for f in self.findings if f.severity is not Severity.NOTE and f.rule not in _PRUNING_RULES)
        return Counter((f.rule, f.location.name) for f in grave)


@dataclass
class Repair:
    """What was done to a model, or would be.

    Attributes:
        path: the model, as the user gave it.
        changes: those that stand, in the order in which they were made.
        refused: what could have been changed and was not, each with the reason: (layer, reason).
        document: the config with the changes.
        proof: sentences on what was proved; empty without changes.
        written: where the result is, or "".
    """

    path: str
    before: Forecast
    after: Forecast
    document: dict[str, Any]
    changes: list[Change] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)
    written: str = ""
    backup: str = ""

    @property
    def new_weights(self) -> dict[str, tuple[np.ndarray, ...]]:
        """Those of layers that were put in, by the layer's path, in the order of its variables."""
        return weights_of(self.changes)

    @property
    def remaining(self) -> list[Finding]:
        """Findings that stand between the model and sparse, or make it wrong, and that are still there."""
        wanted = self.after.places()
        return [f for f in self.after.findings if (f.rule, f.location.name) in wanted]

    @property
    def exit_code(self) -> int:
        return 1 if self.remaining else 0


@dataclass
class Options:
    """How to repair.

    Attributes:
        unsafe: whether changes may be made after which the model must be trained again.
        assume_pruned: the share of zeros to plan for; None for 0.8 where the model is not pruned yet.
        policy: whether TFMOT's pruning policy shall take the model, too.
    """

    profile: Profile
    unsafe: bool = False
    assume_pruned: float | None = None
    policy: bool = False


def repair(path: str, options: Options) -> Repair:
    """Works out the changes of a model and proves them; nothing is written.

    Raises:
        ModelError: the file cannot be read, or its config cannot be rewritten.
    """
    archive = Archive(path)
    # The reader bounds what a file may claim, so it comes before the config.
    format_, keras = read(path)
    before = first_forecast(keras, path, format_, options)
    return search(archive.document, before, options)


def search(document: dict[str, Any], before: Forecast, options: Options) -> Repair:
    """The same for a config in memory, which is not changed."""
    return _Search(document, options, before).run()


def safe_part(done: Repair, options: Options) -> Repair:
    """The safe ones of a model's changes alone, whether or not a finding asks for them."""
    safe = {(c.fixer, c.layer) for c in done.changes if c.applicability is Applicability.SAFE}
    search_ = _Search(Archive(done.path).document, replace(options, unsafe=True), done.before)
    document, changes, after = search_.attempt(safe.__contains__, unasked=True)
    return Repair(done.path, done.before, after, document, changes)


def write(
    done: Repair, target: str, *, backup: str = "", check: Callable[[str], list[str]] = lambda drafted: []
) -> None:
    """Writes the changed model to `target`, once what is on the disk is seen to be what was proved.

    Args:
        done: from `repair`.
        target: where to; what is there is replaced in one step.
        backup: where to keep a copy of what was at `target`, or "".
        check: looks at the file before it takes its place; returns what it proved, or raises an XnnlintError.

    Raises:
        XnnlintError: what was written is not what was proved; then `target` is as it was.
        OSError: it cannot be written.
    """
    with draft(target) as drafted:
        try:
            write_draft(done, Archive(done.path), drafted)
            done.proof += check(drafted)
        except XnnlintError as fault:
            raise XnnlintError(f"{target}: not written: {fault}") from None
        commit(drafted, target, backup)
    done.written, done.backup = target, backup


def write_draft(done: Repair, archive: Archive, path: str) -> None:
    """Writes the changed model to a file that is nobody's yet, and reads it again.

    Raises:
        XnnlintError: what was written is not what was proved.
    """
    if done.changes:
        archive.write(done.document, path, done.new_weights, (done.before.keras, done.after.keras))
    else:
        shutil.copyfile(done.path, path)
    if not archive.same_weights(path, done.new_weights):
        raise XnnlintError("weights would change")
    if Archive(path).document != done.document:
        raise XnnlintError("what is on the disk is not what was proved")


def forecast(
    keras: KerasModel, path: str, format_: str, profile: Profile, assumed: float | None, *, policy: bool = False
) -> Forecast:
    """Plans a model; with `policy`, what TFMOT's pruning policy refuses is among the findings."""
    plan = make_plan(lower(keras, path=path, format=format_, assume_pruned=assumed), profile)
    findings = find(plan)
    if policy:
        case = PolicyCase(judge(keras), plan)
        findings += [f for rule in policy_rules() for f in rule.check_policy(case) if f.severity is Severity.ERROR]
    return Forecast(keras, plan, findings, assumed)


def weights_of(changes: Iterable[Change]) -> dict[str, tuple[np.ndarray, ...]]:
    return {path: arrays for change in changes for path, arrays in change.weights.items()}


def with_weights_of(
    document: dict[str, Any], original: KerasModel, new: Mapping[str, tuple[np.ndarray, ...]]
) -> KerasModel:
    """The model of a changed config; layers that were there before keep their weights.

    That Keras gives them the same ones is what `order.misplaced` proves.
    """
    model = read_model(document, "3" if original.dialect == "keras3" else "2")
    weights = {layer.path: layer.weights for layer in original.all_layers()}
    for layer in model.all_layers():
        layer.weights = weights.get(layer.path, {})
        if (path := "/".join(layer.path)) in new:
            named = zip(variable_names(layer), new[path], strict=True)
            layer.weights = {name: partial(_given, array) for name, array in named}
    model.has_weights = original.has_weights
    return model


def _given(array: np.ndarray) -> np.ndarray:
    return array


def first_forecast(keras: KerasModel, path: str, format_: str, options: Options) -> Forecast:
    """The forecast of the model as it is; one that is not pruned yet is taken to be."""
    plan = partial(forecast, keras, path, format_, options.profile, policy=options.policy)
    if options.assume_pruned is not None:
        return plan(options.assume_pruned)
    as_it_is = plan(None)
    summary = as_it_is.plan.summary
    pruned = summary is not None and passes_zeros_test(summary.pointwise_zeros, summary.pointwise_params)
    return as_it_is if pruned else plan(USUAL_SPARSITY)


class _Search:
    def __init__(self, document: dict[str, Any], options: Options, before: Forecast) -> None:
        self.document, self.options, self.before = document, options, before
        self.refused: dict[str, str] = {}
        # The findings for which each change was made.
        self.asked: dict[Place, set[Place]] = {}
        self.useless: set[Place] = set()

    def run(self) -> Repair:
        document, changes, after = self.attempt(lambda key: True)
        if useless := self._useless(changes, after):
            document, changes, after = self.attempt(lambda key: key not in useless)
        if changes and (fault := self._fault(after, changes)):
            document, changes, after = self._one_by_one(fault)
        proof = []
        if changes:
            fixed = sum((self.before.places() - after.places()).values())
            proof = [
                "every weight has the same bits and belongs to the same layer",
                "every input and output has the same shape",
                f"{fixed} finding{'s' * (fixed != 1)} gone, no new ones",
            ]
        refused = [item for item in self.refused.items() if item[0] not in {c.layer for c in changes}]
        return Repair(self.path, self.before, after, document, changes, refused, proof)

    def attempt(
        self, allowed: Callable[[Place], bool], *, unasked: bool = False
    ) -> tuple[dict[str, Any], list[Change], Forecast]:
        """Makes every change that a finding asks for, until no finding asks for another; all of them if `unasked`."""
        document = copy.deepcopy(self.document)
        changes: list[Change] = []
        now = self.before
        done: set[Place] = set()
        for _ in range(_ROUNDS):
            made = self._round(document, now, done, allowed, unasked)
            if not made:
                break
            changes += made
            now = self._forecast(document, changes)
        return document, changes, now

    def _round(
        self,
        document: dict[str, Any],
        now: Forecast,
        done: set[Place],
        allowed: Callable[[Place], bool],
        unasked: bool,
    ) -> list[Change]:
        asked = {(f.rule, f.location.name) for f in now.findings if f.severity is not Severity.NOTE}
        shapes = _map_shapes(now.plan)
        made = []
        for fixer in FIXERS:
            if fixer.applicability is Applicability.UNSAFE and not self.options.unsafe:
                continue
            for scope in list(scopes(document, shapes=shapes)):
                for entry in list(scope.layers):
                    match = fixer.match(scope, entry)
                    reasons = {p for p in asked if match is not None and p[1] in match.places and fixer.heeds(p[0])}
                    if match is None or not (reasons or unasked):
                        continue
                    key = (fixer.name, scope.label(entry))
                    if key in done or not allowed(key):
                        continue
                    done.add(key)
                    self.asked[key] = reasons
                    try:
                        made.append(fixer.apply(match))
                    except CannotChange as reason:
                        self.refused[key[1]] = str(reason)
        return made

    def _useless(self, changes: list[Change], after: Forecast) -> set[Place]:
        """Changes after which everything is still found for which they were made.

        The converter, for example, turns a symmetric padding into 'same' again where that is the same.
        """
        found = {(f.rule, f.location.name) for f in after.findings}
        self.useless = {(c.fixer, c.layer) for c in changes if self.asked[c.fixer, c.layer] <= found}
        self.refused |= {layer: "what could be changed would not help" for _, layer in self.useless}
        return self.useless

    def _one_by_one(self, fault: str) -> tuple[dict[str, Any], list[Change], Forecast]:
        """Keeps the changes that do no harm in the order in which they come."""
        _, all_changes, _ = self.attempt(lambda key: key not in self.useless)
        kept: set[Place] = set()
        for change in all_changes[:_MAX_SINGLE]:
            key = (change.fixer, change.layer)
            trial = {*kept, key}
            _, changes, after = self.attempt(trial.__contains__)
            why = self._fault(after, changes) if changes else "it cannot be changed alone"
            if why:
                self.refused[change.layer] = why
            else:
                kept = trial
        for change in all_changes[_MAX_SINGLE:]:
            self.refused[change.layer] = fault
        return self.attempt(kept.__contains__)

    @property
    def path(self) -> str:
        return self.before.plan.model.path

    def _forecast(self, document: dict[str, Any], changes: list[Change]) -> Forecast:
        try:
            keras = with_weights_of(document, self.before.keras, weights_of(changes))
        except Unreadable as fault:
            raise XnnlintError(f"{self.path}: the changed model cannot be read ({fault.problem})") from None
        model = self.before.plan.model
        format_, policy = model.format or "", self.options.policy
        return forecast(keras, model.path, format_, self.options.profile, self.before.assumed, policy=policy)

    def _fault(self, after: Forecast, changes: list[Change]) -> str:
        return _fault(self.before, after, weights_of(changes))


def _fault(before: Forecast, after: Forecast, added: Collection[str]) -> str:
    """Why a changed model must not be written, or ""."""
    if name := misplaced(before.keras, after.keras, before.plan.model.format or "", added):
        return f"Keras would load the weights of {name!r} into another layer, since the order of layers changes"
    if _shapes(before.plan) != _shapes(after.plan):
        return "the shape of an input or output would change"
    ranks = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    old, new = before.plan, after.plan
    if ranks.index(new.outcome) < ranks.index(old.outcome):
        return f"the model would be {new.outcome.value}"
    if new.outcome is old.outcome and len(new.spmm_ops) < len(old.spmm_ops):
        return "fewer convolutions would run SpMM"
    for rule, name in after.places() - before.places():
        return f"{rule} would be found at {name!r}"
    return ""


def _shapes(plan: Plan) -> list[tuple[int, ...]]:
    graph = plan.graph
    return [graph.tensors[t].shape_signature for t in (*graph.inputs, *graph.outputs)]


def _map_shapes(plan: Plan) -> dict[str, list[int | None]]:
    """What layers read, as far as their first operator is one on maps that are all of the same shape."""
    found: dict[str, list[int | None]] = {}
    for op in plan.graph.operators:
        if op.type not in _SIZED or op.name in found:
            continue
        # A padding in front is part of the operator otherwise.
        if op.type.endswith("CONV_2D") and op.attributes.get("padding") != "SAME" and not _is_pointwise(plan, op):
            continue
        tensors = [plan.graph.tensors[t] for t in op.inputs[: 1 if "_" in op.type else 2] if t >= 0]
        shapes = {t.shape_signature for t in tensors if not t.is_constant}
        if len(shapes) == 1:
            found[op.name] = [None if d < 0 else d for d in shapes.pop()]
    return found


def _is_pointwise(plan: Plan, op: Operator) -> bool:
    return op.type == "CONV_2D" and plan.graph.tensors[op.inputs[1]].shape[1:3] == (1, 1)
