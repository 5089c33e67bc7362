"""Finds out which changes make a .tflite file better, by planning after each.

A set of changes is as good as the plan of the changed file: first whether it is right at all, then how many 1x1
convolutions run SpMM. What the plan does not need is not changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xnnlint.errors import XnnlintError
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.operator_change import CannotChange, Change, Fix, View, lines, make, make_way
from xnnlint.fixes.tflite.pointwise import MOVING
from xnnlint.fixes.tflite.stem import OF_STEM
from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.model.macs import pointwise_macs
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import GraphEdit, Op
    from xnnlint.fixes.tflite.operator_change import Way
    from xnnlint.xnnpack.profile import Profile

Key = tuple[str, str]
Value = tuple[int, int, int]
# A change can make room for another one, but only so often.
_ROUNDS = 6
_RESCUES = 6
# Above so many places of one fix times operators, it would take minutes to try without each place; then whole halves
# are tried, and halves of these, so many in all.
_MAX_SINGLE = 10_000
_MAX_HALVES = 12
# Attempts without some change, times operators; whatever is not tried stays.
_MAX_WORK = 6_000
_MIN_ATTEMPTS = 25
_UNKNOWN_SIZE = "sizes other than its batch are known only at run time"


@dataclass(frozen=True)
class Options:
    """How to fix.

    Attributes:
        profile: the runtime to plan for.
        unsafe: whether fixes may change what the model computes.
        select, ignore: names of fixes; without `select` all.
        settings: for fixes that need a number: "batch", "prune".
        everything: whether also what helps nothing is changed, to test the changes themselves.
    """

    profile: Profile
    unsafe: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    everything: bool = False

    def allows(self, name: str) -> bool:
        return name not in self.ignore and (not self.select or name in self.select)


@dataclass(frozen=True)
class State:
    """A file, its plan, and the changes that led there."""

    data: bytes
    plan: Plan
    changes: tuple[Change, ...] = ()

    @property
    def value(self) -> Value:
        """Larger is better."""
        if not self.plan.is_correct:
            return (0, 0, 0)
        graph, sparse = self.plan.graph, self.spmm
        return (1, len(sparse), sum(pointwise_macs(graph, graph.operators[op]) for op in sparse))

    @cached_property
    def spmm(self) -> frozenset[int]:
        """The operators that run SpMM, without those that fixes made of a stem, or of what only moves channels: to have
        more of these is no gain."""
        return frozenset(op for op in self.plan.spmm_ops if not self._only_moves(op))

    @cached_property
    def pointwise(self) -> frozenset[int]:
        """The 1x1 convolutions, and what else runs SpMM, without the same ones."""
        return frozenset(op for op in pointwise_ops(self.plan.graph) if not self._only_moves(op)) | self.spmm

    def _only_moves(self, op: int) -> bool:
        graph = self.plan.graph
        weights = graph.input_tensor(graph.operators[op], 1)
        return weights is not None and weights.name.endswith((MOVING, OF_STEM))


@dataclass
class Result:
    """What was found.

    Attributes:
        before, after: the file as it was, and with the changes; the same where there are none.
        refused: (place, reason) of what could not be changed.
        findings: of the file with the changes.
    """

    before: State
    after: State
    refused: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.after.changes

    @property
    def remaining(self) -> list[Finding]:
        """What still stands between the model and sparse, or makes it wrong."""
        return [f for f in self.findings if f.severity is Severity.ERROR]


def fixes() -> tuple[Fix, ...]:
    """Every fix, in the order in which they are applied."""
    from xnnlint.fixes.tflite import all_fixes as registry

    return registry.fixes()


def names() -> list[str]:
    """What --select and --ignore take."""
    from xnnlint.fixes.tflite import all_fixes as registry

    return registry.names()


def search(data: bytes, path: str, options: Options) -> Result:
    """Works out the changes of a file; nothing is proven or written.

    Raises:
        ModelError: the file cannot be read, or changed without loss.
        XnnlintError: a fix of an unknown name was asked for, or the object API is not installed.
    """
    for name in (*options.select, *options.ignore):
        if name not in names():
            raise XnnlintError(f"there is no fix {name!r}; there are {', '.join(names())}")
    return _Search(data, path, options).run()


class _Search:
    def __init__(self, data: bytes, path: str, options: Options) -> None:
        self.path, self.options = path, options
        self.origin = State(data, self._plan(data))
        self.edit = Edit.open(data, path)
        self.fixes = [
            fix
            for fix in fixes()
            if options.allows(fix.name) and (options.unsafe or fix.applicability is Applicability.SAFE)
        ]
        self.refused: dict[str, str] = {}
        self.attempts = 0

    def run(self) -> Result:
        from xnnlint.linter.engine import find

        if unknown := self._inputs_of_unknown_size():
            return self._for_any_size(unknown)
        full = self._attempt()
        if self.options.everything and full.plan.is_correct:
            return Result(self.origin, self._told(full), list(self.refused.items()), find(full.plan))
        candidates = [self.origin]
        if full.value > self.origin.value:
            candidates.append(self._smallest(full))
        elif full.changes:
            candidates.append(self._greedy(full))
        candidates += [self._rescue(state) for state in (full, self.origin) if not state.plan.is_correct]
        best = self._told(max(candidates, key=lambda s: (s.value, -len(s.changes))))
        changed = {change.place for change in best.changes}
        refused = [item for item in self.refused.items() if item[0] not in changed]
        return Result(self.origin, best, refused, find(best.plan))

    # Sizes that are known only at run time

    def _inputs_of_unknown_size(self) -> list[str]:
        graph = self.edit.main
        return [graph.name(t) for t in graph.inputs if _is_of_unknown_size(graph, t)]

    def _for_any_size(self, inputs: Sequence[str]) -> Result:
        """The plan, and whatever is computed to prove a change, are of one size; what is right at that one may be wrong
        at others. Weights stored dense are right at all of them."""
        from xnnlint.fixes.tflite import rescue
        from xnnlint.linter.engine import find

        best = self.origin
        ways = self._ways(rescue.ways, best) if not best.plan.is_correct and self.options.allows(rescue.DENSE) else ()
        if ways and ways[-1].name == rescue.DENSE:
            best = self._follow(best, ways[-1]) or best
        refused = [(name, f"{_UNKNOWN_SIZE}; convert the model with fixed ones first") for name in inputs]
        return Result(self.origin, best, refused, find(best.plan))

    # One set of changes

    def _told(self, state: State) -> State:
        """The same with the operators before and after each change, for which the search has no time."""
        keys = {change.key for change in state.changes}
        told = {change.key: change for change in self._attempt(keys, told=True).changes} if keys else {}
        return replace(state, changes=tuple(told.get(change.key, change) for change in state.changes))

    def _attempt(
        self, keys: set[Key] | None = None, *, names: Collection[str] | None = None, told: bool = False
    ) -> State:
        """Makes every change that is allowed, planning again until no fix finds another place.

        Args:
            keys: the changes that are allowed; None for all.
            names: the fixes that are; None for those of `keys`.
        """
        if names is None and keys is not None:
            names = {name for name, _ in keys}
        fixes = [fix for fix in self.fixes if names is None or fix.name in names]
        edit, state = self.edit.again(), self.origin
        done: set[Key] = set()
        for _ in range(_ROUNDS):
            view = View(edit.main, state.plan, self.options.settings)
            made = self._round(view, fixes, done, keys, told) if done != keys else None
            if not made:
                break
            data = edit.to_bytes()
            state = State(data, self._plan(data), (*state.changes, *made))
        return state

    def _round(
        self, view: View, fixes: Sequence[Fix], done: set[Key], keys: set[Key] | None, told: bool
    ) -> list[Change]:
        made = []
        before = lines(view.graph) if told else None
        for fix in fixes:
            for op in _sites(fix, view):
                key = (fix.name, op.uid)
                if key in done or (keys is not None and key not in keys) or op not in view.graph.operators:
                    continue
                done.add(key)
                if not fix.any_size and any(_is_of_unknown_size(view.graph, t) for t in (*op.inputs, *op.outputs)):
                    self.refused[view.place(op)] = _UNKNOWN_SIZE
                    continue
                try:
                    made.append(make(fix, view, op, before))
                except CannotChange as reason:
                    self.refused[view.place(op)] = str(reason)
        return made

    # Only what is needed

    def _smallest(self, full: State) -> State:
        """Drops what the plan is as good without: whole kinds of changes first, then single places."""
        keys = {change.key for change in full.changes}
        whole = {fix.name for fix in self.fixes if fix.whole}
        needed = full
        for name in boldest_first(full.changes):
            needed = self._without(needed, {key for key in keys if key[0] == name})
        for name in boldest_first(needed.changes):
            places = [change.key for change in needed.changes if change.fix == name]
            if name in whole or len(places) == 1:
                continue
            if len(places) * len(needed.plan.graph.operators) <= _MAX_SINGLE:
                for key in places:
                    needed = self._without(needed, {key})
            else:
                needed = self._without_halves(needed, places)
        return needed

    def _without_halves(self, state: State, places: list[Key]) -> State:
        """As a rule the places behind some operator are not needed, since the cluster ends there."""
        pending, trials = [places], 0
        while pending and trials < _MAX_HALVES:
            group = pending.pop()
            middle = len(group) // 2
            for half in (group[:middle], group[middle:]):
                trial = self._without(state, set(half))
                trials += 1
                if trial is state and len(half) > 1:
                    pending.append(half)
                state = trial
        return state

    def _without(self, state: State, dropped: set[Key]) -> State:
        keys = {change.key for change in state.changes}
        left = keys - dropped
        if left == keys or self.attempts * len(state.plan.graph.operators) > max(
            _MAX_WORK, _MIN_ATTEMPTS * len(state.plan.graph.operators)
        ):
            return state
        self.attempts += 1
        if not left:
            return self.origin if self.origin.value >= state.value else state
        trial = self._attempt(left)
        return trial if trial.value >= state.value else state

    def _greedy(self, full: State) -> State:
        """Fixes that are wrong together may be right one by one: keeps each kind that does no harm."""
        best, kept = self.origin, set[str]()
        for name in dict.fromkeys(change.fix for change in full.changes):
            trial = self._attempt(names={*kept, name})
            if trial.value >= best.value and trial.changes:
                best, kept = trial, {*kept, name}
        return self._smallest(best) if best.value > self.origin.value else self.origin

    # Rescue

    def _rescue(self, state: State) -> State:
        """The best of what makes a wrong or failing model right; the state itself where nothing does."""
        from xnnlint.fixes.tflite import all_fixes as registry

        best = state
        for _ in range(_RESCUES):
            ways = [way for way in self._ways(registry.ways, best) if self.options.allows(way.name)]
            trials = [trial for way in ways if (trial := self._follow(best, way)) is not None]
            if not trials:
                break
            right = [trial for trial in trials if trial.value[0]]
            if right:
                return max(right, key=lambda s: s.value)
            better = min(trials, key=lambda s: len(s.plan.hazards))
            if len(better.plan.hazards) >= len(best.plan.hazards):
                break
            best = better
        return best

    def _ways(self, ways: Callable[[View], Iterable[Way]], state: State) -> Sequence[Way]:
        return list(ways(View(Edit(state.data, self.path).main, state.plan, self.options.settings)))

    def _follow(self, state: State, way: Way) -> State | None:
        edit = Edit(state.data, self.path)
        try:
            change = make_way(way, View(edit.main, state.plan, self.options.settings))
        except CannotChange as reason:
            self.refused[way.place] = str(reason)
            return None
        # The uids of this edit count from the file as it was changed before.
        change = replace(change, uid=f"{len(state.changes)}:{change.uid}")
        data = edit.to_bytes()
        return State(data, self._plan(data), (*state.changes, change))

    def _plan(self, data: bytes) -> Plan:
        return make_plan(load_bytes(data, self.path), self.options.profile)


def boldest_first(changes: Iterable[Change]) -> list[str]:
    """The kinds of changes, in the order in which one would rather do without them."""
    bold = {change.fix: (change.applicability is Applicability.UNSAFE, change.exactness.value) for change in changes}
    return sorted(bold, key=lambda name: (bold[name], name), reverse=True)


def _is_of_unknown_size(graph: GraphEdit, tensor: int) -> bool:
    """Whether more than the batch is dynamic."""
    return tensor >= 0 and any(size < 0 for size in graph.signature(tensor)[1:])


def _sites(fix: Fix, view: View) -> list[Op]:
    """The places of a fix; none in a graph that is odder than it foresees, such as a convolution without a filter."""
    try:
        return list(fix.sites(view))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        if os.environ.get("XNNLINT_DEBUG"):
            raise
        return []
