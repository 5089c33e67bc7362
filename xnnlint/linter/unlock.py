"""What each finding would unlock: the model is planned again with the finding's conditions taken as fulfilled.

Findings carry the conditions that a fix would fulfil (`Finding.waivers`). The smallest set of changes is found by
taking all of them as fulfilled and then dropping, rule by rule and one by one, whatever is not needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations, islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from xnnlint.linter.findings import Finding, Severity, Unlock
from xnnlint.model.macs import pointwise_macs
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Outcome, Plan, pointwise_ops
from xnnlint.xnnpack.waiver import FLOAT, WaiverKind

if TYPE_CHECKING:
    from xnnlint.xnnpack.plan import Replanner
    from xnnlint.xnnpack.waiver import Waiver

Change = frozenset["Waiver"]
# So many changes are tried one by one for harming the others; more would take seconds.
MANY = 60
# So many operators are planned at most to tell what changes bring, some 20 seconds of work. A model of a few thousand
# operators with a hundred reasons takes less.
MOST_WORK = 600_000
# And so many to tell whether some changes without the others give wrong results.
MOST_PARTS = 100_000
GAVE_UP = "the model is so large that not every change was tried alone: some may bring more, or not be needed"
# Of so many changes every part is tried for wrong results.
SMALL = 5
_SPLITTING = (Condition.CONSUMER_INSIDE, Condition.OUTPUT_OUTSIDE)
_CROSSING = (WaiverKind.EXIT, WaiverKind.ENTRY)
_BROKEN = (Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS, Condition.KNOWN_ENCODING)
_WEIGHTS = (Condition.WRAPPERS_STRIPPED, Condition.PRUNED, Condition.ENOUGH_ZEROS, Condition.STORED_SPARSE)
_CONCERNS: tuple[Condition | None, ...] = (*_BROKEN, *_WEIGHTS)


def add_unlocks(plan: Plan, findings: Sequence[Finding]) -> list[Finding]:
    """Tell for each finding what it would unlock, drop those that would not, and order the rest by it.

    Findings without waivers (notes, wrong results, failures) always stay, and so do warnings: one that turns out to
    stop the sparse path becomes an error. Where the model runs sparse and right already, what would unlock more is a
    warning. Where no set of changes is known that makes it sparse, all reasons stay.
    """
    assert plan.planner is not None
    findings = _causes(findings)
    rules = {f.waivers: f.rule for f in findings if f.waivers}
    search = _Search(
        plan.planner, rules, frozenset(pointwise_ops(plan.graph)) | plan.spmm_ops, len(plan.graph.operators)
    )
    changes = list(rules)
    now = search.spmm(())
    # A cluster end put behind a value takes it away from readers that another change would have made part of the
    # cluster, and where a graph falls apart either the operator is replaced or each part gets its own stem and end, so
    # several ways are tried.
    splitting = {f.waivers for f in findings if f.condition in _SPLITTING}
    crossing = {c for c in changes if any(kind in _CROSSING for kind, _ in c)}
    starts = [[c for c in changes if c not in without] for without in ((), splitting, crossing)]
    smallest, then = search.smallest(starts, now)
    all_or_none = search.has_wrong_parts(smallest)
    hopeless = bool(search.wanted) and not smallest and not now
    if search.gave_up:
        plan.model.notes.append(GAVE_UP)
    kept, gained = [], len(then - now)
    left = set(smallest)
    wrong_anyhow = {h.op for h in plan.hazards if not h.of_sparse_path}
    for finding in findings:
        if not finding.waivers:
            if smallest and finding.condition in _BROKEN and finding.location.op in wrong_anyhow:
                # Wrong sparse or dense: no plan asks for it, and it is to be mended all the same.
                unlocks = Unlock(0, 0.0, gained, True, all_or_none)
                finding = replace(finding, unlocks=unlocks)
            kept.append(finding)
            continue
        alone = frozenset() if now and not smallest else search.alone(finding.waivers)
        needed = finding.waivers in left
        left.discard(finding.waivers)  # Another finding that the same change solves is not one more change.
        if not alone and not needed:
            if finding.severity is not Severity.ERROR:
                kept.append(finding)
            elif hopeless:
                kept.append(replace(finding, unlocks=Unlock(0, 0.0, 0, False)))
            continue
        with_all = gained if needed else 0
        unlocks = Unlock(len(alone), _share(plan, alone), with_all, needed, needed and all_or_none)
        severity = finding.severity
        if severity is not Severity.NOTE:
            severity = Severity.WARNING if plan.outcome is Outcome.SPARSE else Severity.ERROR
        kept.append(replace(finding, unlocks=unlocks, severity=severity))
    return sorted(kept, key=rank)


def _causes(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, without those that are mended by a change that is asked for anyhow."""
    asking: dict[Waiver, set[Change]] = {}
    for finding in findings:
        for waiver in finding.waivers:
            asking.setdefault(waiver, set()).add(finding.waivers)

    def is_part(change: Change) -> bool:
        return any(change < other for other in min((asking[waiver] for waiver in change), key=len))

    return [f for f in findings if not f.waivers or not is_part(f.waivers)]


def rank(finding: Finding) -> tuple[int, int, bool, bool, int, str, int]:
    """Broken models first, then what is about all weights (without it nothing in the graph matters), then the graph:
    members of the smallest set, then by what fixing alone brings."""
    unlocks = finding.unlocks
    gain = (not unlocks.in_smallest_set, -unlocks.alone) if unlocks else (True, 0)
    place = finding.location.op if finding.location.op is not None else -1
    concern = _CONCERNS.index(finding.condition) if finding.condition in _CONCERNS else len(_CONCERNS)
    # A model that is not pruned is no mistake, and all the same what matters most about it.
    severity = Severity.ERROR if finding.condition in _WEIGHTS and unlocks is not None else finding.severity
    return severity.rank, concern, unlocks is not None, *gain, finding.rule, place


def _share(plan: Plan, ops: Iterable[int]) -> float:
    total = plan.summary.pointwise_macs if plan.summary else 0
    return sum(pointwise_macs(plan.graph, plan.graph.operators[op]) for op in ops) / total if total else 0.0


class _Search:
    """Plans a model under many sets of changes.

    Args:
        rules: the rule that asks for each change.
        wanted: the 1x1 convolutions to bring to SpMM.
        cost: how much work one plan is, in operators.
    """

    def __init__(self, planner: Replanner, rules: dict[Change, str], wanted: frozenset[int], cost: int) -> None:
        self.planner = planner
        self.rules = rules
        self.wanted = wanted
        self.known: dict[frozenset[Waiver], frozenset[int]] = {}
        self.left = MOST_WORK
        self.cost = cost
        self.reach_now = planner.reach() if planner.is_right(()) else None

    def spmm(self, changes: Iterable[Change]) -> frozenset[int]:
        """1x1 convolutions that run SpMM, with right results, once the changes are made."""
        assumed = frozenset().union(*changes)
        if assumed not in self.known:
            self.left -= self.cost
            self.known[assumed] = self.planner.spmm(assumed) & self.wanted
        return self.known[assumed]

    @property
    def gave_up(self) -> bool:
        """Whether so much was planned that the rest is left out; what is told for sure costs nothing."""
        return self.left < 0

    def alone(self, change: Change) -> frozenset[int]:
        """What a change brings to SpMM if no other is made."""
        return frozenset() if self._is_vain(change) or self.gave_up else self.spmm([change]) - self.spmm(())

    def _is_vain(self, change: Change) -> bool:
        """Whether a change brings nothing for sure, if no other is made."""
        reach, kinds = self.reach_now, {kind for kind, _ in change}
        if reach is None:
            return False
        if kinds == {WaiverKind.EXIT}:
            return len(change) == 1 and not any(reach.may_gain_by_end(tensor) for _, tensor in change)
        return _only_operators(change) and not reach.may_gain([place for _, place in change])

    def smallest(self, starts: list[list[Change]], now: frozenset[int]) -> tuple[set[Change], frozenset[int]]:
        """A set of changes from which none can be left out without losing SpMM operators, and what runs SpMM then.

        Args:
            starts: sets of changes to begin with; the one that unlocks most is thinned out.
            now: what runs SpMM without any change.
        """
        kept = max(starts, key=lambda changes: len(self.spmm(changes)))
        if now and len(self.spmm(kept)) <= len(now):
            return set(), now  # It runs sparse and right, and nothing we know brings more: no need to look closer.
        kept = self._without_harmful(kept)
        most = len(self.spmm(kept))
        if most <= len(now):
            return set(), now
        # Whole rules first: most of a model's findings are needed all or not at all.
        alike: dict[str, list[Change]] = {}
        for change in kept:
            alike.setdefault(self.rules[change], []).append(change)
        needed = _Needed(self.planner, kept)
        for group in (set(changes) for changes in (*alike.values(), *([change] for change in tuple(kept)))):
            if self.gave_up or (most == len(self.wanted) and any(map(needed, group))):
                continue
            fewer = [c for c in kept if c not in group]
            if len(fewer) < len(kept) and len(self.spmm(fewer)) >= most:
                kept, most = fewer, len(self.spmm(fewer))
                needed = _Needed(self.planner, kept)
        return set(kept), self.spmm(kept)

    def has_wrong_parts(self, changes: Collection[Change]) -> bool:
        """Whether the model would give wrong results, or fail, with some of the changes only.

        Every part of a small set is tried; of a larger one the single changes, and all but one.
        """
        enough = self.left - MOST_PARTS
        for part in islice(_parts([change for change in self.rules if change in changes]), MANY):
            if self.left < max(0, enough):
                break
            if len(part) == 1 and self._stays_dense(part[0]):
                continue
            self.left -= self.cost
            if not self.planner.is_right(frozenset().union(*part)):
                return True
        return False

    def _stays_dense(self, change: Change) -> bool:
        """Whether a model that is dense and right is so for sure with one change of operators: where no 1x1 convolution
        becomes part of a cluster, none has zeros enough."""
        reach = self.reach_now
        if reach is None or not reach.is_dense or not _only_operators(change) or not self._is_vain(change):
            return False
        return not reach.may_arm([place for _, place in change])

    def _without_harmful(self, changes: list[Change]) -> list[Change]:
        """Leave out what makes the others worse, such as a reader that a change pulls into the two-thirds test.

        Of many changes only those are tried that stand between operators: those of operators are mostly needed.
        """
        if len(self.spmm(changes)) == len(self.wanted):
            return changes
        suspects = changes if len(changes) <= MANY else [c for c in changes if not _only_operators(c)]
        for change in suspects[:MANY]:
            if self.gave_up:
                break
            fewer = [c for c in changes if c != change]
            if len(self.spmm(fewer)) > len(self.spmm(changes)):
                changes = fewer
        return changes


def _parts(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """All parts of a small set of changes; of a larger one each change alone, and all but it."""
    if len(changes) <= SMALL:
        for size in range(1, len(changes)):
            yield from combinations(changes, size)
        return
    for n, change in enumerate(changes):
        yield [change]
        yield [*changes[:n], *changes[n + 1 :]]


def _only_operators(change: Change) -> bool:
    return all(kind in (WaiverKind.COMPATIBLE, WaiverKind.PRUNED) for kind, _ in change)


class _Needed:
    """Says of single ones of some changes whether SpMM is lost for sure without them."""

    def __init__(self, planner: Replanner, changes: Collection[Change]) -> None:
        assumed: frozenset[Waiver] = frozenset().union(*changes)
        # As floats, operators may be able to run in NCHW whatever else is assumed.
        self.reach = None if FLOAT in assumed else planner.reach(assumed)
        asked = Counter(place for change in changes for kind, place in change if kind is WaiverKind.COMPATIBLE)
        self.once = {place for place, times in asked.items() if times == 1}

    def __call__(self, change: Change) -> bool:
        places = {place for kind, place in change if kind is WaiverKind.COMPATIBLE} & self.once
        return self.reach is not None and _only_operators(change) and self.reach.loses(places)
