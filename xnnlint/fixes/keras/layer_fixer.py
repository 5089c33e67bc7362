"""A kind of change of a Keras model's layers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct, field

from xnnlint.fixes.change import Change, Exactness
from xnnlint.fixes.fixer import Fixer, discovered
from xnnlint.fixes.keras.config_scope import Entry, Scope
from xnnlint.linter.findings import Applicability

if TYPE_CHECKING:
    import numpy as np

_PACKAGE = "xnnlint.fixes.keras.layer_changes"


class Stage(IntEnum):
    """When a change is made: wrappers first, in which others see no layers; then poolings, since others look at the
    shapes that they leave; what is safe before what is not; and zeros once it is known what counts."""

    WRAPPERS = auto()
    POOLINGS = auto()
    CONSTANTS = auto()
    TAPS = auto()
    DEPTHWISE = auto()
    CHANNELS = auto()
    UNSAFE = auto()
    ZEROS = auto()


class Match(Struct, frozen=True):
    """A place where a fixer could do something; `places` are the layers whose findings it may fix."""

    scope: Scope
    entry: Entry
    places: frozenset[str] = field(default_factory=frozenset)


class LayerFixer(Fixer):
    """One kind of change.

    Attributes:
        only_for_sparse: whether it costs time, and is of no use where no more runs sparse with it.
        of_plan: whether it counts what is in the plan, so that it is made only where nothing was changed since.
    """

    only_for_sparse: bool = False
    of_plan: bool = False

    def match(self, scope: Scope, entry: Entry) -> Match | None:
        """Whether the fixer has something to do with a layer; looks only."""
        raise NotImplementedError

    def apply(self, match: Match) -> Change:
        """Does it.

        Raises:
            CannotChange: the layer is used in a way that this change does not fit; then nothing was changed.
        """
        raise NotImplementedError

    def found(self, scope: Scope, entry: Entry, *others: Entry) -> Match:
        return Match(scope, entry, frozenset(scope.label(e) for e in (entry, *others)))

    def change(
        self,
        match: Match,
        text: str,
        before: tuple[str, ...],
        after: tuple[str, ...],
        *,
        effect: str = "",
        weights: Mapping[str, tuple[np.ndarray, ...]] | None = None,
        moving: frozenset[str] = frozenset(),
        safe: bool | None = None,
    ) -> Change:
        """The record of a change that was made.

        Args:
            effect: what the model computes differently; "" for the kind's.
            weights: of layers that were put in.
            moving: those of them that only move channels.
            safe: whether this one is, where that is not the same for all of the kind.
        """
        label = match.scope.label(match.entry)
        applicability, exactness = self.applicability, self.exactness
        if safe:
            applicability, exactness = Applicability.SAFE, Exactness.EXACT
        effect = effect or ("" if safe else self.effect)
        return Change(
            fix=self.name,
            fulfils=self.fulfils,
            applicability=applicability,
            exactness=exactness,
            site=label,
            place=label,
            text=text,
            before=before,
            after=after,
            effect=effect,
            layers=match.places,
            weights=weights or {},
            moving=moving,
        )


@cache
def layer_fixers() -> tuple[LayerFixer, ...]:
    """Every one, in the order in which they are applied."""
    return tuple(discovered(_PACKAGE, "FIXERS"))
