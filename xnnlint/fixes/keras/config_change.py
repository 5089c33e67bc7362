"""A change of a model's config, and the base class of what makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xnnlint.fixes.keras.config_scope import Entry, Scope
from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as it is told.

    Attributes:
        layer: path of the layer that it is about.
        fixer: name of the `Fixer`.
        applicability: `SAFE` (same outputs) or `UNSAFE` (train again).
        text: what is done, in one sentence without a full stop.
        effect: for unsafe ones, what the model computes differently; else "".
        before, after: the layers concerned, as code.
        weights: of layers that were put in, by the layer's path, in the order of its variables.
    """

    layer: str
    fixer: str
    applicability: Applicability
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    effect: str = ""
    weights: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Match:
    """A place where a fixer could do something; `places` are the layers whose findings it may fix."""

    scope: Scope
    entry: Entry
    places: frozenset[str] = field(default_factory=frozenset)


class Fixer:
    """One kind of change.

    Attributes:
        rules: what codes of rules begin with whose findings it can fix; XNP is TFMOT's pruning policy.
    """

    name: str
    applicability: Applicability
    rules: tuple[str, ...] = ("XNN", "XNP")

    def heeds(self, rule: str) -> bool:
        return rule.startswith(self.rules)

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        """Whether the fixer has something to do with a layer; looks only."""
        raise NotImplementedError

    def apply(self, match: Match) -> Change:
        """Does it.

        Raises:
            CannotChange: the layer is used in a way that this change does not fit.
        """
        raise NotImplementedError

    def found(self, scope: Scope, entry: Entry, *others: Entry) -> Match:
        return Match(scope, entry, frozenset(scope.label(e) for e in (entry, *others)))
