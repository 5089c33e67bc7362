"""Which fixes fit at the places of a .tflite file, found out by making them in copies that nobody writes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Change
from xnnlint.fixes.remedy import Remedies, Remedy, in_order, remedy
from xnnlint.fixes.request import FixRequest
from xnnlint.fixes.tflite import object_api
from xnnlint.fixes.tflite.composites import without_composites
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, make, operator_fixers
from xnnlint.fixes.tflite.rescue import follow, rescues, ways
from xnnlint.loaders.tflite.read_tflite import load_bytes
from xnnlint.xnnpack.planner import make_plan

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding
    from xnnlint.xnnpack.plan import Plan

_NOT_INLINED = "this runtime runs its composites as subgraphs of their own"
_UNKNOWN_SIZE = "sizes of its inputs other than the batch are known only at run time"


class FileRemedies(Remedies):
    """Of one file.

    Raises:
        XnnlintError: the object API is not installed.
        OSError: the file is gone.
    """

    def __init__(self, path: str, plan: Plan) -> None:
        object_api.generated()
        self.path, self.plan = path, plan
        self.options = FixRequest(plan.profile, unsafe=True)
        given = Path(path).read_bytes()
        self._edit = without_composites(given, path)
        if self._edit.data is not given:
            self.plan = make_plan(load_bytes(self._edit.data, path), plan.profile)
        self._known: dict[OperatorFixer, dict[int, Change]] = {}
        if len(self.plan.graph.operators) != len(plan.graph.operators):
            self.missing = _NOT_INLINED
        elif self._view.graph.inputs_of_unknown_size():
            self.missing = _UNKNOWN_SIZE

    def of(self, finding: Finding) -> tuple[Remedy, ...]:
        op, condition = finding.location.op, finding.condition
        if self.missing or condition is None:
            return ()
        found = []
        for fixer in operator_fixers():
            if op is not None and condition in fixer.fulfils and (change := self._changes(fixer).get(op)) is not None:
                found.append((fixer, change))
        ways_out = self._rescues if any(condition in rescue.fulfils for rescue in rescues()) else ()
        named = {change.fix for _, change in found}
        return in_order(found) + tuple(
            remedy(change) for change in ways_out if change.fix not in named and condition in change.fulfils
        )

    @cached_property
    def _view(self) -> View:
        return View(self._edit.main, self.plan, self.options)

    def _fresh(self) -> View:
        return View(self._edit.again().main, self.plan, self.options)

    def _changes(self, fixer: OperatorFixer) -> dict[int, Change]:
        """The places of a fix by operator, each with what would be done; made one after the other in one copy."""
        if fixer not in self._known:
            indices = [op.index for op in fixer.sites(self._view) if op.index is not None]
            self._known[fixer] = self._made(fixer, indices) if indices else {}
        return self._known[fixer]

    def _made(self, fixer: OperatorFixer, indices: list[int]) -> dict[int, Change]:
        view, made = self._fresh(), {}
        for index in indices:
            op = view.graph.find(f"#{index}")
            if op is None:
                continue
            try:
                made[index] = make(fixer, view, op)
            except CannotChange:
                continue
        return made

    @cached_property
    def _rescues(self) -> list[Change]:
        """What makes the whole file right, one change of each kind; nothing where it is right."""
        if self.plan.is_correct:
            return []
        found: dict[str, Change] = {}
        for way in ways(self._view):
            if way.rescue.name not in found:
                try:
                    found[way.rescue.name] = follow(way, self._fresh())
                except CannotChange:
                    continue
        return list(found.values())
