"""Which fixes fit at the layers of a Keras model, found out by making them in copies of its config."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Change
from xnnlint.fixes.keras.archive import Archive
from xnnlint.fixes.keras.config_scope import scopes
from xnnlint.fixes.keras.config_search import known_of, unmasked_layers
from xnnlint.fixes.keras.layer_fixer import LayerFixer, layer_fixers
from xnnlint.fixes.remedy import Remedies, Remedy, in_order
from xnnlint.loaders.keras.read_file import read

if TYPE_CHECKING:
    from xnnlint.linter.findings import Finding
    from xnnlint.xnnpack.plan import Plan


class ConfigRemedies(Remedies):
    """Of one model file.

    Raises:
        ModelError: its config cannot be read or rewritten.
    """

    def __init__(self, path: str, plan: Plan) -> None:
        self._document = Archive(path).document
        unmasked = unmasked_layers(read(path)[1]) if plan.model.wrapped else frozenset()
        self._known_of_plan = known_of(plan, unmasked=lambda: unmasked)
        self._changes_of: dict[LayerFixer, list[Change]] = {}

    def of(self, finding: Finding) -> tuple[Remedy, ...]:
        fixers = [fixer for fixer in layer_fixers() if finding.condition in fixer.fulfils]
        return in_order([(f, change) for f in fixers for change in self._changes(f) if change.answers(finding)])

    def _changes(self, fixer: LayerFixer) -> list[Change]:
        """What would be done at the places of a fix, one after the other in one copy."""
        if fixer not in self._changes_of:
            made = []
            for scope in list(scopes(copy.deepcopy(self._document), known=self._known_of_plan)):
                for entry in list(scope.layers):
                    match = fixer.match(scope, entry)
                    if match is None:
                        continue
                    try:
                        made.append(fixer.apply(match))
                    except CannotChange:
                        continue
            self._changes_of[fixer] = made
        return self._changes_of[fixer]
