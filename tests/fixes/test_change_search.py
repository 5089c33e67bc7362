"""The search for the changes that are needed, on models that are only numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.change_search import ALL, Budget, ChangeSearch, Selection
from xnnlint.fixes.request import FixRequest
from xnnlint.linter.findings import Applicability

# Ten operators are so few that every change is tried.
PLAN = SimpleNamespace(graph=SimpleNamespace(operators=[None] * 10))
Keys = set[tuple[str, str]]


@dataclass(frozen=True)
class Numbers:
    """A model that is worth the sum of its changes."""

    changes: tuple[Change, ...] = ()
    plan: object = field(default=None, compare=False)


def change(fix: str, site: str) -> Change:
    return Change(fix, frozenset(), Applicability.SAFE, Exactness.EXACT, site, site, "")


class Adding(ChangeSearch[Numbers]):
    """`worth` says what each change adds; together they may be worth something else."""

    def __init__(
        self, worth: dict[tuple[str, str], int], clash: set[tuple[str, str]] = frozenset(), budget=None
    ) -> None:
        super().__init__(Numbers(plan=PLAN), FixRequest(None), budget)
        self.worth, self.clash = worth, clash or set()
        self.tried: list[frozenset[tuple[str, str]]] = []

    def attempt(self, selection: Selection) -> Numbers:
        self.budget.spend()
        keys = [key for key in self.worth if selection.allows(key)]
        self.tried.append(frozenset(keys))
        return Numbers(tuple(change(*key) for key in keys), PLAN)

    def value(self, version: Numbers) -> int:
        keys = {c.key for c in version.changes}
        return -1 if self.clash and self.clash <= keys else sum(self.worth[key] for key in keys)

    def fault(self, trial: Numbers, best: Numbers) -> str:
        return "" if self.value(trial) >= self.value(best) else "it is worth less"


def keys(version: Numbers) -> set[tuple[str, str]]:
    return {c.key for c in version.changes}


def test_what_is_not_needed_is_left_out_kinds_first():
    search = Adding({("a", "1"): 1, ("a", "2"): 0, ("b", "1"): 0, ("b", "2"): 0})
    needed = search.smallest(search.attempt(ALL))
    assert keys(needed) == {("a", "1")}
    # Both of the kind that nothing needs went at once.
    assert frozenset({("a", "1"), ("a", "2")}) in search.tried


def test_places_of_a_whole_kind_are_not_tried():
    search = Adding({("a", "1"): 1, ("a", "2"): 0})
    assert keys(search.smallest(search.attempt(ALL), whole={"a"})) == {("a", "1"), ("a", "2")}


def test_nothing_is_left_where_nothing_helps():
    search = Adding({("a", "1"): 0})
    assert search.smallest(search.attempt(ALL)) is search.origin


def test_many_places_are_dropped_by_halves(monkeypatch):
    monkeypatch.setattr("xnnlint.fixes.change_search._MAX_SINGLE", 0)
    worth = {("a", str(n)): int(n < 2) for n in range(8)}
    search = Adding(worth)
    assert keys(search.smallest(search.attempt(ALL))) == {("a", "0"), ("a", "1")}
    assert len(search.tried) < 8


def test_what_does_harm_together_is_added_one_by_one():
    search = Adding({("a", "1"): 1, ("b", "1"): 1, ("c", "1"): 1}, clash={("a", "1"), ("b", "1")})
    left: list[frozenset[str] | None] = []
    search.left_out = lambda group, why: left.append(group.kinds)
    best = search.harmless(Selection(kinds=frozenset({name})) for name in "abc")
    assert keys(best) == {("a", "1"), ("c", "1")}
    assert left == [frozenset({"b"})]


@pytest.mark.parametrize("budget", [Budget(attempts=1), Budget(seconds=0)])
def test_a_budget_that_ended_keeps_what_is_there(budget):
    search = Adding({("a", "1"): 1, ("b", "1"): 0}, budget=budget)
    assert keys(search.smallest(search.attempt(ALL))) == {("a", "1"), ("b", "1")}
    assert budget.ended


def test_selections_of_keys_and_of_kinds_join():
    one, two = Selection(frozenset({("a", "1")})), Selection(frozenset({("b", "2")}))
    assert (one | two).allows(("b", "2")) and not (one | two).allows(("b", "1"))
    assert (Selection(kinds=frozenset({"a"})) | Selection(kinds=frozenset({"b"}))).allows(("b", "9"))
    assert not Selection(without=frozenset({("a", "1")})).allows(("a", "1"))
