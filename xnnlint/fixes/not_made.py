"""Changes that were considered and not made, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from xnnlint.linter.findings import Applicability


class Why(str, Enum):
    """Why a change is not made. The comments tell what `NotMade.detail` holds."""

    DOES_NOT_FIT = "does-not-fit"  # why not, as a clause
    NOT_ASKED = "not-asked"
    """It is unsafe, and only safe ones were asked for."""
    NOT_NEEDED = "not-needed"
    """As much runs sparse without it, in as little time."""
    SOLVES_NOTHING = "solves-nothing"
    """What it would be made for is found all the same."""
    OTHER_WAY = "other-way"  # the fix that reaches as much for less
    SLOWER = "slower"  # "predicted" or "measured"
    HARMFUL = "harmful"  # what would be worse, as a clause
    NOT_PROVEN = "not-proven"  # what was seen, as a clause
    NOT_TRIED = "not-tried"
    """All together do harm, and there are too many to try each alone."""


PREDICTED, MEASURED = "predicted", "measured"


class NotMade(Struct, frozen=True):
    """Changes of one kind that are not made for one reason.

    Attributes:
        fix: the kind.
        places: in the user's words.
    """

    fix: str
    applicability: Applicability
    why: Why
    detail: str
    places: tuple[str, ...]

    @property
    def is_safe(self) -> bool:
        return self.applicability is Applicability.SAFE


def grouped(single: Iterable[NotMade]) -> list[NotMade]:
    """The same by kind and reason, in the order of the first of each."""
    places: dict[tuple[str, Applicability, Why, str], list[str]] = {}
    for one in single:
        places.setdefault((one.fix, one.applicability, one.why, one.detail), []).extend(one.places)
    return [NotMade(*key, tuple(dict.fromkeys(found))) for key, found in places.items()]
