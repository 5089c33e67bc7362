"""A fix that fits a place, and what every format's answer to a finding has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from xnnlint.fixes.change import Change, Exactness
    from xnnlint.fixes.fixer import Fixer
    from xnnlint.linter.findings import Applicability, Finding


class Remedy(Struct, frozen=True):
    """A fix that fits a place.

    Attributes:
        fix: its name.
        title: what it does there, in one sentence without a full stop.
        applicability: `SAFE`, or `UNSAFE` where the model must be trained again.
        effect: for unsafe ones, what the model computes differently; else "".
    """

    fix: str
    title: str
    applicability: Applicability
    exactness: Exactness
    effect: str = ""


class Remedies(ABC):
    """The fixes of one model, asked finding by finding; what is looked at once is kept.

    Attributes:
        missing: why no fix can be named for any finding, as a sentence; "" where they can.
        extra: the extra of xnnlint that is to be installed first; "" where that is not why.
    """

    missing: str = ""
    extra: str = ""

    @abstractmethod
    def of(self, finding: Finding) -> tuple[Remedy, ...]:
        """The fixes that fulfil a finding's condition at its place: safe ones first, then in the order in which
        `xnnlint fix` makes them."""


def remedy(change: Change) -> Remedy:
    """A change that was tried, as a remedy."""
    return Remedy(change.fix, change.text, change.applicability, change.exactness, change.effect)


def in_order(found: Sequence[tuple[Fixer, Change]]) -> tuple[Remedy, ...]:
    """Safe ones first."""
    ordered = sorted(found, key=lambda pair: (not pair[1].is_safe, pair[0].stage))
    return tuple(remedy(change) for _, change in ordered)
