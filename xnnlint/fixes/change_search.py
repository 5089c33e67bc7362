"""The search for the changes that are needed, whatever the format: what can be left out, and what does no harm.

A format says how an attempt is made (`attempt`), and when one version of a model is not as good as another (`fault`).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from itertools import product
from typing import Generic

from msgspec import Struct, field

from xnnlint.fixes.change import Change, Key, boldest_first
from xnnlint.fixes.fixer import Fixer
from xnnlint.fixes.judge import Judge, V
from xnnlint.fixes.not_made import NotMade, Why, grouped
from xnnlint.fixes.request import FixRequest

_ALONE = "it cannot be changed alone"
# Above so many places of one fix times operators, it would take minutes to try without each place; then whole halves
# are tried, and halves of these, so many in all.
_MAX_SINGLE = 10_000
_MAX_HALVES = 12
# Attempts without some change, times operators; whatever is not tried stays.
_MAX_WORK = 6_000
_MIN_ATTEMPTS = 15


class Selection(Struct, frozen=True):
    """Which changes an attempt may make.

    Attributes:
        only: these; None for all.
        kinds: of these kinds; None for all.
        without: none of these.
    """

    only: frozenset[Key] | None = None
    kinds: frozenset[str] | None = None
    without: frozenset[Key] = frozenset()

    def __or__(self, other: Selection) -> Selection:
        """What either allows, of two that both name keys, or both kinds."""
        only = None if self.only is None or other.only is None else self.only | other.only
        kinds = None if self.kinds is None or other.kinds is None else self.kinds | other.kinds
        return Selection(only, kinds)

    def allows(self, key: Key) -> bool:
        return self.allows_kind(key[0]) and (self.only is None or key in self.only) and key not in self.without

    def allows_kind(self, name: str) -> bool:
        if self.kinds is not None:
            return name in self.kinds
        return self.only is None or any(name == kind for kind, _ in self.only)


ALL = Selection()


class Budget(Struct):
    """How long a search may take; what is not tried when it ends stays as it is.

    Attributes:
        seconds, attempts: at most so many; None for as many as it takes.
        ended: whether something was not tried for it.
    """

    seconds: float | None = None
    attempts: int | None = None
    ended: bool = False
    _start: float = field(default_factory=time.monotonic)
    _made: int = 0

    def spend(self) -> None:
        """Counts an attempt."""
        self._made += 1

    def allows_more(self) -> bool:
        late = self.seconds is not None and time.monotonic() - self._start > self.seconds
        if late or (self.attempts is not None and self._made >= self.attempts):
            self.ended = True
            return False
        return True


class ChangeSearch(ABC, Generic[V]):
    """The search for one model.

    Attributes:
        origin: the model as it is.
        refused: place -> why it was not changed.
        considered: what was considered and not made, with the last reason; a change may be made all the same.
        best: the best version so far, of which `attempt` need not do again what is the same.
        judge, fixers: how versions are compared, and the kinds of changes that may be made; set by who has them.
    """

    judge: Judge
    fixers: Sequence[Fixer]

    def __init__(self, origin: V, options: FixRequest, budget: Budget | None = None) -> None:
        self.origin, self.options, self.budget = origin, options, budget or Budget()
        self.refused: dict[str, str] = {}
        self.considered: dict[Key, NotMade] = {}
        self.best = origin
        self._tried = 0

    @abstractmethod
    def attempt(self, selection: Selection) -> V:
        """The model with every change made that is allowed, until no other place is found."""

    @abstractmethod
    def fault(self, trial: V, best: V) -> str:
        """Why a version is not as good as another, as a clause; "" where it is."""

    def trial_without(self, state: V, dropped: Collection[Key]) -> V | None:
        """A version without some of its changes; None where it has none of them, or enough was tried."""
        keys = frozenset(change.key for change in state.changes)
        left = keys.difference(dropped)
        operators = len(state.plan.graph.operators)
        if left == keys or self._tried * operators > max(_MAX_WORK, _MIN_ATTEMPTS * operators):
            return None
        if not self.budget.allows_more():
            return None
        self._tried += 1
        return self.attempt(Selection(left)) if left else self.origin

    def pass_over(self, changes: Iterable[Change], why: Why, detail: str = "") -> None:
        """Notes why these are left out."""
        for change in changes:
            self.considered[change.key] = NotMade(change.fix, change.applicability, why, detail, (change.place,))

    def does_not_fit(self, fixer: Fixer, key: Key, place: str, reason: str) -> None:
        """Notes that a kind of change does not fit at a place after all."""
        self.refused[place] = reason
        self.considered[key] = NotMade(fixer.name, fixer.applicability, Why.DOES_NOT_FIT, reason, (place,))

    def not_made(self, full: V, best: V, why: Why, detail: str = "") -> list[NotMade]:
        """What was considered and is not in the best version.

        Args:
            full: the version with every change.
            why, detail: of those of which nothing else is known.
        """
        made = {change.key for change in best.changes}
        self.pass_over((change for change in full.changes if change.key not in self.considered), why, detail)
        return grouped(item for key, item in self.considered.items() if key not in made)

    def by_cheaper_ways(self, full: V) -> V:
        """Where another kind of change can stand for one, the one that takes less time."""
        best, without = full, frozenset[Key]()
        offered = {fixer.name for fixer in self.fixers}
        for fixer in self.fixers:
            for number, rival in enumerate(fixer.rivals):
                sites = {change.site for change in best.changes if change.fix == fixer.name}
                if not sites or rival not in offered or not self.budget.allows_more():
                    continue
                kinds = (fixer.name, *fixer.rivals[:number])
                bare = self.attempt(Selection(without=without.union(product(kinds, sites))))
                there = {change.site for change in bare.changes if change.fix == rival}
                # A rival that is made elsewhere may stand for all of them.
                taken = (sites & there) or (sites if there else set())
                chosen = without.union(product(kinds, taken))
                trial = bare if taken == sites or not taken else self.attempt(Selection(without=chosen))
                if not taken:
                    continue
                if self.judge.is_cheaper(trial, best):
                    lost = (change for change in best.changes if change.key in chosen)
                    self.pass_over(lost, Why.OTHER_WAY, rival)
                    best, without = trial, chosen
                else:
                    self.pass_over((c for c in trial.changes if c.fix == rival), Why.OTHER_WAY, fixer.name)
        return best

    def smallest(self, full: V, whole: Collection[str] = ()) -> V:
        """Drops what the model is as good without: whole kinds of changes first, then single places.

        Args:
            whole: kinds of which single places are not tried.
        """
        keys = {change.key for change in full.changes}
        self.best = needed = full
        self._tried = 0
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

    def harmless(self, groups: Iterable[Selection]) -> V:
        """What is wrong together may be right one by one: adds group after group, and keeps those that do no harm."""
        best: V = self.origin
        kept: Selection | None = None
        for group in groups:
            if not self.budget.allows_more():
                break
            allowed = group if kept is None else kept | group
            trial = self.attempt(allowed)
            why = self.fault(trial, best) if trial.changes else _ALONE
            if why:
                self.left_out(group, why)
                self.pass_over((c for c in trial.changes if group.allows(c.key)), Why.HARMFUL, why)
            else:
                best, kept = trial, allowed
        return best

    def left_out(self, group: Selection, why: str) -> None:
        """Told of a group of changes that does harm."""

    def _without_halves(self, state: V, places: list[Key]) -> V:
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

    def _without(self, state: V, dropped: Collection[Key]) -> V:
        trial = self.trial_without(state, dropped)
        if trial is None or self.fault(trial, state):
            return state
        self.pass_over((change for change in state.changes if change.key in dropped), Why.NOT_NEEDED)
        self.best = trial
        return trial
