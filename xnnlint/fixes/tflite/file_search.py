"""Finds out which changes make a .tflite file better, by planning after each.

A set of changes is as good as the plan of the changed file: right first, then fast, as predicted (see `judge`). One
change tells little, since only together they make a cluster sparse. So the search begins with all of them, takes the
cheaper of two ways that reach the same, leaves out what nothing is lost without, and then what the model is faster
without. What is still slower than the file as it is, is not done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from xnnlint.fixes.change import CannotChange, Change, Key
from xnnlint.fixes.change_search import ALL, Budget, ChangeSearch, Selection
from xnnlint.fixes.judge import Judge
from xnnlint.fixes.not_made import MEASURED, PREDICTED, NotMade, Why, grouped
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.result import Declined, Measured, Result
from xnnlint.fixes.tflite.change_groups import of_clusters
from xnnlint.fixes.tflite.composites import without_composites
from xnnlint.fixes.tflite.editor import Edit
from xnnlint.fixes.tflite.file_version import FileVersion
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.known_fixes import check_names
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, make, operator_fixers
from xnnlint.fixes.tflite.operator_lines import OperatorLines
from xnnlint.fixes.tflite.rescue import STORE_DENSE, Way, follow, ways
from xnnlint.linter.findings import Applicability, Severity
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.planner import make_plan

FileResult = Result[FileVersion]
FileDeclined = Declined[FileVersion]
# A change can make room for another one, but only so often.
_ROUNDS = 6
_RESCUES = 6
_UNKNOWN_SIZE = "sizes other than its batch are known only at run time"


def search(
    data: bytes, path: str, options: FixRequest, budget: Budget | None = None, *, show: bool = True
) -> FileResult:
    """Works out the changes of a file; nothing is proven or written.

    Args:
        show: whether changes shall say which operators they remove and add, which takes a while in a large model.

    Raises:
        ModelError: the file cannot be read, or changed without loss.
        XnnlintError: a fix of an unknown name was asked for, or the object API is not installed.
    """
    check_names(options)
    return _FileSearch(data, path, options, budget, show).run()


def undone(result: FileResult, measured: Measured) -> FileResult:
    """The same with nothing changed, since a measurement showed that it does not pay."""
    before, after = result.before, result.after
    assert result.gain is not None
    declined = Declined(after, result.gain, measured)
    slower = (NotMade(c.fix, c.applicability, Why.SLOWER, MEASURED, (c.place,)) for c in after.changes)
    not_made = [*result.not_made, *grouped(slower)]
    return replace(_with_findings(result.path, before, before, result.refused), declined=declined, not_made=not_made)


def _with_findings(path: str, before: FileVersion, after: FileVersion, refused: list[tuple[str, str]]) -> FileResult:
    from xnnlint.linter.engine import find

    findings = find(after.plan)
    # What was stored dense to be right is not to be stored sparse.
    is_dense = any(change.fix == STORE_DENSE for change in after.changes)
    remaining = [
        finding
        for finding in findings
        if finding.severity is Severity.ERROR and not (is_dense and finding.condition is Condition.STORED_SPARSE)
    ]
    return Result(path, before, after, refused, findings, remaining)


class _FileSearch(ChangeSearch[FileVersion]):
    fixers: Sequence[OperatorFixer]

    def __init__(self, data: bytes, path: str, options: FixRequest, budget: Budget | None, show: bool) -> None:
        self.path, self.show, self.options = path, show, options
        self.judge = Judge.of(options.profile.cpu, even_if_slower=options.even_if_slower or options.everything)
        # Microseconds from which on a version is slower than the best that was kept.
        self._limit = math.inf
        # The fastest version that was passed over since less of it runs sparse.
        self._lesser: FileVersion | None = None
        # What is changed; a file in which nothing is changed keeps its composites.
        self.edit = without_composites(data, path)
        super().__init__(replace(self._read(self.edit.data), data=data), options, budget)
        self.fixers = [
            fixer
            for fixer in operator_fixers()
            if options.allows(fixer.name) and (options.unsafe or fixer.applicability is Applicability.SAFE)
        ]

    def run(self) -> FileResult:
        if unknown := self.edit.main.inputs_of_unknown_size():
            refused = [(name, f"{_UNKNOWN_SIZE}; convert the model with fixed ones first") for name in unknown]
            return self._result(self._for_any_size(), refused)
        full = self.attempt(ALL)
        if self.options.everything and full.plan.is_correct:
            return self._result(self._told(full), list(self.refused.items()))
        candidates = self._candidates(full)
        candidates += [self._rescue(version) for version in (full, self.origin) if not version.plan.is_correct]
        better = [version for version in candidates if self.judge.is_worthwhile(version, self.origin)]
        best = self._told(self.judge.best(better) if better else self.origin)
        changed = {change.place for change in best.changes}
        refused = [item for item in self.refused.items() if item[0] not in changed]
        declined = None if best.changes else self._declined(candidates)
        why = (Why.NOT_NEEDED, "") if declined is None else (Why.SLOWER, PREDICTED)
        return replace(self._result(best, refused), declined=declined, not_made=self.not_made(full, best, *why))

    def _result(self, best: FileVersion, refused: list[tuple[str, str]]) -> FileResult:
        gain = self.judge.gain(self.origin.plan, best.plan) if best.changes else None
        found = _with_findings(self.path, self.origin, best, refused)
        return replace(found, gain=gain, complete=not self.budget.ended)

    def _declined(self, candidates: Sequence[FileVersion]) -> FileDeclined | None:
        """Of the versions that reach more than the file as it is, and are slower, the best."""
        slower = [v for v in candidates if v.plan.is_correct and v.reach > self.origin.reach]
        if not slower or not self.origin.plan.is_correct:
            return None
        version = self._told(min(slower, key=lambda version: version.microseconds))
        gain = self.judge.gain(self.origin.plan, version.plan)
        return None if gain is None else Declined(version, gain)

    # Sizes that are known only at run time

    def _for_any_size(self) -> FileVersion:
        """The plan, and whatever is computed to prove a change, are of one size; what is right at that one may be wrong
        at others. Of what is right at all of them, the last way is the most thorough."""
        if self.origin.plan.is_correct:
            return self.origin
        anywhere = [way for way in self._ways(self.origin) if way.rescue.any_size]
        return (self._follow(self.origin, anywhere[-1]) if anywhere else None) or self.origin

    # One set of changes

    def attempt(self, selection: Selection) -> FileVersion:
        """Makes every change that is allowed, planning again until no fix finds another place."""
        return self._attempt(selection)

    def fault(self, trial: FileVersion, best: FileVersion) -> str:
        if trial.plan.is_correct < best.plan.is_correct:
            return "it would be wrong"
        if best.plan.is_correct and trial.reach < best.reach:
            if self._lesser is None or trial.microseconds < self._lesser.microseconds:
                self._lesser = trial
            return "less of the model would run sparse"
        if trial.microseconds > self._limit:
            return "it would be slower"
        self._limit = min(self._limit, self._limit_of(trial))
        return ""

    def _limit_of(self, version: FileVersion) -> float:
        return self.judge.still_as_fast(version.microseconds)

    def _told(self, version: FileVersion) -> FileVersion:
        """The same with the operators before and after each change, for which the search has no time."""
        if not self.show or not version.changes:
            return version
        keys = frozenset(change.key for change in version.changes)
        told = {change.key: change for change in self._attempt(Selection(keys), told=True).changes}
        return replace(version, changes=tuple(told.get(change.key, change) for change in version.changes))

    def _attempt(self, selection: Selection, *, told: bool = False) -> FileVersion:
        fixers = [fixer for fixer in self.fixers if selection.allows_kind(fixer.name)]
        edit, version = self.edit.again(), self.origin
        done: set[Key] = set()
        for number in range(_ROUNDS):
            if (selection.only is not None and done >= selection.only) or (number and not self.budget.allows_more()):
                break
            made = self._round(View(edit.main, version.plan, self.options), fixers, done, selection, told)
            if not made:
                break
            version = self._planned(edit, (*version.changes, *made), version)
        return version

    def _round(
        self, view: View, fixers: Sequence[OperatorFixer], done: set[Key], selection: Selection, told: bool
    ) -> list[Change]:
        made = []
        lines = OperatorLines(view.graph) if told else None
        for fixer in fixers:
            for op in list(fixer.sites(view)):
                key = (fixer.name, op.uid)
                if key in done or not selection.allows(key) or op.links is None:
                    continue
                done.add(key)
                if not fixer.any_size and any(view.graph.is_of_unknown_size(t) for t in (*op.inputs, *op.outputs)):
                    self.does_not_fit(fixer, key, view.place(op), _UNKNOWN_SIZE)
                    continue
                try:
                    made.append(make(fixer, view, op, lines))
                except CannotChange as reason:
                    self.does_not_fit(fixer, key, view.place(op), str(reason))
        return made

    def _planned(self, edit: Edit, changes: tuple[Change, ...], previous: FileVersion) -> FileVersion:
        """The file as an edit has made it; one that leads to the best is not written and planned again."""
        known = self.best.with_changes([change.key for change in changes])
        if known is not None:
            edit.settle()
            return replace(known, changes=changes)
        self.budget.spend()
        version = self._read(edit.to_bytes())
        # Only now tensors have the indices of the file.
        purposes = dict(edit.main.purposes)
        return replace(version, changes=changes, purposes=purposes, previous=previous)

    def _edit_of(self, version: FileVersion) -> Edit:
        return Edit(version.data, self.path, version.purposes) if version.changes else self.edit.again()

    def _read(self, data: bytes) -> FileVersion:
        plan = make_plan(load_bytes(data, self.path), self.options.profile)
        return FileVersion(data, plan, self.judge.microseconds(plan))

    # Only what is needed

    def _candidates(self, full: FileVersion) -> list[FileVersion]:
        """Versions that may be the best."""
        if full.plan.is_correct:
            return self._refined(self.by_cheaper_ways(full)) if full.changes else []
        kinds = dict.fromkeys(change.fix for change in full.changes)
        version = self.harmless(Selection(kinds=frozenset({name})) for name in kinds)
        return self._refined(version) if version.changes and version.plan.is_correct else []

    def _refined(self, version: FileVersion) -> list[FileVersion]:
        """What reaches as much with less, and what of it is fastest."""
        smallest = self._smallest(version)
        return [smallest, self._fastest(smallest)] if self.judge.by_time else [smallest]

    def _smallest(self, full: FileVersion) -> FileVersion:
        self._limit, self._lesser = self._limit_of(full), None
        smallest = self.smallest(full, whole={fixer.name for fixer in self.fixers if fixer.whole})
        self._limit = math.inf
        return smallest

    def _fastest(self, version: FileVersion) -> FileVersion:
        """Where a version is faster with less of it sparse, without some changes or without a whole cluster, that."""
        while version.changes:
            trials = [
                self._lesser,
                *(self.trial_without(version, group) for group in of_clusters(version, self.origin)),
            ]
            faster = [trial for trial in trials if trial is not None and self.judge.is_faster(trial, version)]
            if not faster:
                break
            fastest = min(faster, key=lambda trial: trial.microseconds)
            kept = {change.key for change in fastest.changes}
            self.pass_over((c for c in version.changes if c.key not in kept), Why.SLOWER, PREDICTED)
            version = self._smallest(fastest)
        return version

    # Rescue

    def _rescue(self, version: FileVersion) -> FileVersion:
        """The best of what makes a wrong or failing model right; the version itself where nothing does."""
        best = version
        for _ in range(_RESCUES):
            trials = [trial for way in self._ways(best) if (trial := self._follow(best, way)) is not None]
            if not trials:
                break
            right = [trial for trial in trials if trial.plan.is_correct]
            if right:
                return max(right, key=self.judge.worth)
            better = min(trials, key=lambda trial: len(trial.plan.hazards))
            if len(better.plan.hazards) >= len(best.plan.hazards):
                break
            best = better
        return best

    def _ways(self, version: FileVersion) -> list[Way]:
        view = View(self._edit_of(version).main, version.plan, self.options)
        return [way for way in ways(view) if self.options.allows(way.rescue.name)]

    def _follow(self, version: FileVersion, way: Way) -> FileVersion | None:
        edit = self._edit_of(version)
        try:
            change = follow(way, View(edit.main, version.plan, self.options))
        except CannotChange as reason:
            self.refused[way.place] = str(reason)
            return None
        # The uids of this edit count from the file as it was changed before.
        change = replace(change, site=f"{len(version.changes)}:{change.site}")
        return self._planned(edit, (*version.changes, change), version)
