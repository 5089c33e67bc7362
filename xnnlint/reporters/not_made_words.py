"""Why changes that were considered are not made, in words."""

from __future__ import annotations

from collections.abc import Callable

from xnnlint.fixes.not_made import NotMade, Why

_MOST_NAMES = 5
_WORDS = {
    Why.NOT_ASKED: "it gives other outputs, so only with --unsafe-fixes",
    Why.NOT_NEEDED: "no more runs sparse with it, and nothing is faster",
    Why.SOLVES_NOTHING: "what it is for would be found all the same",
    Why.OTHER_WAY: "{detail} reaches as much for less",
    Why.SLOWER: "the model is {detail} to be slower with it",
    Why.NOT_TRIED: "all together do harm, and there are too many to try each alone",
}


def reason(item: NotMade) -> str:
    """As a clause; of what does not fit, does harm or was not proven it is what was found out there."""
    return _WORDS[item.why].format(detail=item.detail) if item.why in _WORDS else item.detail


def line(item: NotMade, name: Callable[[str], str]) -> str:
    """ "prune (unsafe) at conv_1, conv_2 and 3 more: ...", all of one kind and reason.

    Args:
        name: a place as it is printed.
    """
    more = f" and {len(item.places) - _MOST_NAMES} more" if len(item.places) > _MOST_NAMES else ""
    where = ", ".join(name(place) for place in item.places[:_MOST_NAMES]) + more
    return f"{item.fix}{'' if item.is_safe else ' (unsafe)'} at {where}: {reason(item)}"
