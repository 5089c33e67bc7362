"""How many plans `check --runtime all` could save: `python benchmarks/shared_plans.py MODEL...`

Two runtimes could share a plan where they answer alike whatever is asked of one of them while its plan is made and its
findings are found. What is asked is recorded here, of a list only what is looked up in it. Which versions of operators
a runtime has kernels for is left out, so that the figure errs towards sharing. Beside it stands how many different
results there are, which nobody knows before all are made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import mean
from typing import Any, NamedTuple

from msgspec import field

from xnnlint.linter.engine import find
from xnnlint.linter.rule_registry import all_rules
from xnnlint.loaders import load
from xnnlint.model.graph import Model
from xnnlint.xnnpack.planner import make_plan
from xnnlint.xnnpack.profile import Profile, every_runtime


class Question(NamedTuple):
    """What is asked of a fact; of a list whether it holds an item, or has any (`item` is None)."""

    fact: str
    of_list: bool = False
    item: Any = None

    def answer(self, profile: Profile) -> Any:
        value = profile.facts[self.fact].value
        if not self.of_list:
            return value
        return bool(value) if self.item is None else self.item in value


class AskedList(list[Any]):
    """A fact that is a list and records what is asked of it."""

    def __init__(self, fact: str, values: list[Any], asked: set[Question]) -> None:
        super().__init__(values)
        self._fact, self._asked = fact, asked

    def __contains__(self, item: object) -> bool:
        self._asked.add(Question(self._fact, True, item))
        return super().__contains__(item)

    def __bool__(self) -> bool:
        self._asked.add(Question(self._fact, True))
        return len(self) > 0


class AskedProfile(Profile, frozen=True):
    """A profile that records what is asked of it."""

    asked: set[Question] = field(default_factory=set)

    def __getitem__(self, fact: str) -> Any:
        value = self.facts[fact].value
        # What goes through the entries of a list looks for some of them, too; that is left out as the kernels are.
        if isinstance(value, list):
            return AskedList(fact, value, self.asked)
        self.asked.add(Question(fact))
        return value


def recording(profile: Profile) -> AskedProfile:
    return AskedProfile(profile.runtime, profile.cpu, profile.runtime_title, profile.cpu_title, profile.facts)


def plans_needed(model: Model, profiles: list[Profile]) -> int:
    """How many plans it takes if one stands for every later runtime that answers alike."""
    made: list[tuple[Profile, set[Question]]] = []
    for profile in profiles:
        if any(all(q.answer(profile) == q.answer(own) for q in asked) for own, asked in made):
            continue
        watched = recording(profile)
        find(make_plan(model, watched))
        made.append((profile, watched.asked))
    return len(made)


def results(model: Model, profiles: list[Profile]) -> Iterator[str]:
    """What a report would show of each runtime, as far as it depends on the runtime alone."""
    for profile in profiles:
        plan = make_plan(model, profile)
        kernels = [(kernel.op, kernel.kernel, kernel.partition) for kernel in plan.operators]
        found = [(f.rule, f.location, f.severity, f.required, f.actual, f.unlocks) for f in find(plan)]
        yield repr((plan.outcome, kernels, plan.tflite_ops, [(h.op, h.kind) for h in plan.hazards], found))


def main(paths: list[str]) -> None:
    profiles, rows = every_runtime(), []
    all_rules()
    print(f"{'model':40}  plans needed  different results")
    for path in paths:
        model = load(path)
        rows.append((plans_needed(model, profiles), len(set(results(model, profiles)))))
        print(f"{path[-40:]:40}  {rows[-1][0]} of {len(profiles):<7}  {rows[-1][1]}")
    needed, different = map(mean, zip(*rows, strict=True))
    print(f"{f'mean of {len(rows)}':40}  {needed:<12.1f}  {different:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
