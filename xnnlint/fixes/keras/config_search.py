"""Finds out what to change in a Keras model, changes its config, and proves the result before anything is written.

The judge is the plan of the changed file: it is read and lowered again, like any model. What makes the plan worse, or
brings a finding that was not there, is undone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from xnnlint.errors import XnnlintError
from xnnlint.fixes.change import CannotChange, Change, Key
from xnnlint.fixes.change_search import ALL, Budget, ChangeSearch, Selection
from xnnlint.fixes.judge import Judge
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_scope import Known, Weights, scopes
from xnnlint.fixes.keras.config_version import (
    ConfigVersion,
    FindingPlace,
    first_forecast,
    forecast,
    weights_of,
    with_weights_of,
)
from xnnlint.fixes.keras.layer_fixer import LayerFixer, layer_fixers
from xnnlint.fixes.keras.layer_order import misplaced, put_in_order
from xnnlint.fixes.not_made import PREDICTED, Why
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Declined, Proof, Repair, Result
from xnnlint.fixes.short_clusters import short_clusters
from xnnlint.linter.findings import Applicability, Finding
from xnnlint.loaders.keras.declared_layers import declare
from xnnlint.loaders.keras.read_config import Unreadable
from xnnlint.loaders.keras.read_file import read
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome, Plan

if TYPE_CHECKING:
    from xnnlint.keras.description import KerasModel
    from xnnlint.model.graph import Operator

ConfigRepair = Repair[ConfigVersion]
# A change can uncover another finding, but only so often.
_ROUNDS = 5
# Above so many changes they are not tried one by one.
_MAX_SINGLE = 60
# Operators of which changes need to know what they read.
_SIZED = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "PAD",
    "SPLIT",
    "STRIDED_SLICE",
)
# What these ask is done whatever time it takes: right results, and what every forecast takes for granted.
_NEEDED = frozenset(
    {
        Condition.POOLING_SHAPE,
        Condition.POOLING_AXES,
        Condition.MAP_BEFORE_FULLY_CONNECTED,
        Condition.RIGHT_RESULTS,
        Condition.LOADS_AND_RUNS,
        Condition.WRAPPERS_STRIPPED,
    }
)
_RANK = 4
_USELESS = "what could be changed would not help"


def repair(path: str, options: FixRequest, budget: Budget | None = None) -> ConfigRepair:
    """Works out the changes of a model and proves them; nothing is written.

    Raises:
        ModelError: the file cannot be read, or its config cannot be rewritten.
    """
    archive = Archive(path)
    # The reader bounds what a file may claim, so it comes before the config.
    format_, keras = read(path)
    if options.layers:
        declare(keras, dict(options.layers))
    before = first_forecast(keras, archive.document, path, format_, options)
    return search(before, options, budget)


def search(before: ConfigVersion, options: FixRequest, budget: Budget | None = None) -> ConfigRepair:
    """The same for a config in memory, which is not changed."""
    return _ConfigSearch(before, options, budget).run()


def safe_part(done: ConfigRepair, options: FixRequest) -> ConfigRepair:
    """The safe ones of a model's changes alone, whether or not a finding asks for them."""
    safe = frozenset(change.key for change in done.changes if change.is_safe)
    # A kind that is unsafe as a rule may have made a safe change.
    after = _ConfigSearch(done.before, replace(options, unsafe=True)).attempt(Selection(safe), unasked=True)
    return Repair(Result(done.path, done.before, after, findings=after.findings, remaining=after.standing()))


class _ConfigSearch(ChangeSearch[ConfigVersion]):
    fixers: Sequence[LayerFixer]

    def __init__(self, before: ConfigVersion, options: FixRequest, budget: Budget | None = None) -> None:
        super().__init__(before, options, budget)
        # What training needs is changed however slow it is.
        self.judge = Judge.of(options.profile.cpu, even_if_slower=options.even_if_slower or options.policy)
        self.fixers = [f for f in layer_fixers() if options.unsafe or f.applicability is Applicability.SAFE]
        # The findings for which each change was made.
        self.asked: dict[Key, set[FindingPlace]] = {}
        self.conditions: dict[Key, set[Condition]] = {}
        self.unmasked = cache(partial(unmasked_layers, before.keras))

    def run(self) -> ConfigRepair:
        best = full = self.attempt(ALL)
        if useless := self._useless(best):
            best = self.attempt(Selection(without=useless))
        if best.changes and (fault := self.fault(best, self.origin)):
            changes, best = best.changes, self._one_after_another(best.changes[:_MAX_SINGLE])
            self.refused |= {change.place: fault for change in changes[_MAX_SINGLE:]}
            self.pass_over(changes[_MAX_SINGLE:], Why.NOT_TRIED)
        best = self._without_vain(self.by_cheaper_ways(best))
        best, declined = self._fast_enough(best)
        if best.changes and (fault := self.fault(best, self.origin)):
            # No way above should lead here; what is worse is never given out, whatever the way.
            self.pass_over(best.changes, Why.HARMFUL, fault)
            best = self.origin
        changed = {change.place for change in best.changes}
        refused = [item for item in self.refused.items() if item[0] not in changed]
        path = self.origin.plan.model.path
        complete = not self.budget.ended
        gain = self.judge.gain(self.origin.plan, best.plan) if best.changes else None
        not_made = self.not_made(full, best, Why.SLOWER, PREDICTED)
        standing = best.standing()
        result = Result(path, self.origin, best, refused, best.findings, standing, complete, gain, declined, not_made)
        return Repair(result, self._proof(best) if best.changes else None)

    def _without_vain(self, best: ConfigVersion) -> ConfigVersion:
        """Where no more runs sparse, without the changes that are made for nothing else."""
        kinds = {fixer.name for fixer in self.fixers if fixer.only_for_sparse}
        vain = [change for change in best.changes if change.fix in kinds]
        if not vain or not self.origin.plan.is_correct or best.reach > self.origin.reach:
            return best
        self.pass_over(vain, Why.NOT_NEEDED)
        # Not all but the vain ones: what did harm was left out before.
        rest = frozenset(change.key for change in best.changes if change.fix not in kinds)
        return self.attempt(Selection(rest)) if rest else self.origin

    def _fast_enough(self, best: ConfigVersion) -> tuple[ConfigVersion, Declined[ConfigVersion] | None]:
        """The best changes, or fewer, where the model would be slower with them. What makes it right is done whatever
        time it takes."""
        needed = {change.key for change in best.changes if self.conditions[change.key] & _NEEDED}
        if not self.judge.by_time or not self.origin.plan.is_correct or len(needed) == len(best.changes):
            return best, None
        base = self.attempt(Selection(frozenset(needed))) if needed else self.origin
        limit = self.judge.still_as_fast(base.microseconds)
        if best.microseconds <= limit:
            return best, None
        kinds = frozenset(change.fix for change in best.changes)
        fewer = [self.attempt(Selection(kinds=kinds - {kind})) for kind in kinds] if len(kinds) > 1 else []
        found = [trial for trial in fewer if trial.microseconds <= limit and needed <= {c.key for c in trial.changes}]
        found = [trial for trial in found if not self.fault(trial, self.origin)]
        if found:
            return self.judge.best(found), None
        gain = self.judge.gain(base.plan, best.plan)
        return base, None if gain is None else Declined(best, gain)

    def attempt(self, selection: Selection, *, unasked: bool = False) -> ConfigVersion:
        """Makes every change that a finding asks for, until no finding asks for another; all of them if `unasked`."""
        document, now = copy.deepcopy(self.origin.document), self.origin
        done: set[Key] = set()
        for number in range(_ROUNDS):
            if number and not self.budget.allows_more():
                break
            made = self._round(document, now, done, selection, unasked)
            if not made:
                break
            now = self._forecast(document, (*now.changes, *made))
        return now

    def fault(self, trial: ConfigVersion, best: ConfigVersion) -> str:
        return _fault(self.origin, trial)

    def left_out(self, group: Selection, why: str) -> None:
        self.refused |= {layer: why for _, layer in group.only or ()}

    def _round(
        self, document: dict[str, Any], now: ConfigVersion, done: set[Key], selection: Selection, unasked: bool
    ) -> list[Change]:
        asking = [finding for finding in now.findings if finding.is_asking]
        weights = {"/".join(layer.path): layer.weights for layer in self.origin.keras.all_layers()}
        known = known_of(now.plan, weights, self.unmasked, assumed=now.assumed is not None)
        made: list[Change] = []
        for fixer in self.fixers:
            if made and fixer.of_plan:
                break
            for scope in list(scopes(document, known=known)):
                for entry in list(scope.layers):
                    match = fixer.match(scope, entry)
                    reasons = set() if match is None else _asked_at(match.places, fixer.fulfils, asking)
                    if match is None or not (reasons or unasked):
                        continue
                    key = (fixer.name, scope.label(entry))
                    if key in done or not selection.allows(key):
                        continue
                    done.add(key)
                    self.asked[key] = reasons
                    self.conditions[key] = {
                        f.condition for f in asking if (f.rule, f.location.name) in reasons and f.condition is not None
                    }
                    try:
                        made.append(fixer.apply(match))
                    except CannotChange as reason:
                        self.does_not_fit(fixer, key, key[1], str(reason))
        return made

    def _useless(self, full: ConfigVersion) -> frozenset[Key]:
        """Changes after which everything is still found for which they were made.

        The converter, for example, turns a symmetric padding into 'same' again where that is the same.
        """
        found = {(f.rule, f.location.name) for f in full.findings}
        useless = frozenset(change.key for change in full.changes if self.asked[change.key] <= found)
        self.refused |= {layer: _USELESS for _, layer in useless}
        self.pass_over((change for change in full.changes if change.key in useless), Why.SOLVES_NOTHING)
        return useless

    def _one_after_another(self, changes: Collection[Change]) -> ConfigVersion:
        return self.harmless(Selection(frozenset({change.key})) for change in changes)

    def _forecast(self, document: dict[str, Any], changes: tuple[Change, ...]) -> ConfigVersion:
        self.budget.spend()
        model, before = self.origin.plan.model, self.origin
        try:
            keras = with_weights_of(document, before.keras, weights := weights_of(changes))
        except Unreadable as fault:
            raise XnnlintError(f"{model.path}: the changed model cannot be read ({fault.problem})") from None
        if weights:
            put_in_order(keras, document["config"]["layers"])
        profile, policy = self.options.profile, self.options.policy
        format_ = model.format or ""
        return forecast(keras, document, model.path, format_, profile, before.assumed, policy=policy, changes=changes)

    def _proof(self, best: ConfigVersion) -> Proof:
        fixed = sum((self.origin.places() - best.places()).values())
        among_zeros = len(best.grown_layers(self.origin.keras))
        more = f", those of {among_zeros} among zeros" if among_zeros else ""
        facts = (
            f"every weight has the same bits and belongs to the same layer{more}",
            "every input and output has the same shape",
            f"{fixed} finding{'s' * (fixed != 1)} gone, no new ones",
        )
        return Proof(facts=facts)


def _asked_at(places: Collection[str], fulfils: Collection[object], findings: Collection[Finding]) -> set[FindingPlace]:
    """The findings at these layers whose condition is one of these."""
    return {(f.rule, f.location.name) for f in findings if f.location.name in places and f.condition in fulfils}


def _fault(before: ConfigVersion, after: ConfigVersion) -> str:
    """Why a changed model must not be written, or ""."""
    if name := misplaced(before.keras, after.keras, before.plan.model.format or "", after.new_weights):
        return f"Keras would load the weights of {name!r} into another layer, since the order of layers changes"
    if _shapes(before.plan) != _shapes(after.plan):
        return "the shape of an input or output would change"
    ranks = (Outcome.FAILS, Outcome.WRONG_RESULTS, Outcome.DENSE, Outcome.SPARSE)
    old, new = before.plan, after.plan
    if ranks.index(new.outcome) < ranks.index(old.outcome):
        return f"the model would be {new.outcome.value}"
    if new.outcome is old.outcome and len(after.spmm) < len(before.spmm):
        return "fewer convolutions would run SpMM"
    for rule, name in after.places() - before.places():
        return f"{rule} would be found at {name!r}"
    return ""


def _shapes(plan: Plan) -> list[tuple[int, ...]]:
    graph = plan.graph
    return [graph.tensors[t].shape_signature for t in (*graph.inputs, *graph.outputs)]


def unmasked_layers(keras: KerasModel) -> frozenset[str]:
    """The layers that their pruning wrappers have not made zero everywhere yet; reads all of their weights."""
    return frozenset("/".join(layer.path) for layer in keras.all_layers() if not layer.is_masked)


def known_of(
    plan: Plan,
    weights: Weights | None = None,
    unmasked: Callable[[], Collection[str]] = frozenset,
    *,
    assumed: bool = False,
) -> Known:
    """What a plan says of layers, and their weights.

    Args:
        unmasked: finds the layers of which `Known` tells.
        assumed: whether the zeros that it counts are only assumed.
    """
    tensors = plan.graph.tensors
    parts = {
        op.name: [[None if d < 0 else d for d in tensors[t].shape_signature] for t in op.inputs]
        for op in plan.graph.operators
        if op.type == "CONCATENATION"
    }
    summary, assumed = plan.summary, assumed or plan.model.assume_pruned is not None
    zeros = (0, 0) if summary is None or assumed else (summary.pointwise_params, summary.pointwise_zeros)
    short = {short.op.name: short for short in short_clusters(plan)}
    return Known(_map_shapes(plan), parts, weights or {}, zeros, short, unmasked)


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
        # The size of a reshape is computed by a slice of a vector.
        if len(shapes) == 1 and (op.type != "STRIDED_SLICE" or len(next(iter(shapes))) == _RANK):
            found[op.name] = [None if d < 0 else d for d in shapes.pop()]
    return found


def _is_pointwise(plan: Plan, op: Operator) -> bool:
    return op.type == "CONV_2D" and plan.graph.tensors[op.inputs[1]].shape[1:3] == (1, 1)
