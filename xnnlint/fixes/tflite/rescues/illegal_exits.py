"""Data that leave a sparse cluster other than through one of its ends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import Leak, leaks
from xnnlint.fixes.tflite.operator_changes.cluster_exits import LeaveCluster, leave
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way


class LeaveLegally(Rescue):
    """What `LeaveCluster` does last of all, of a model as it is."""

    name = LeaveCluster.name
    fulfils = LeaveCluster.fulfils
    stage = Preference.EXIT
    summary = "where data leave the cluster illegally -> a legal exit, DEPTH_TO_SPACE"

    def ways(self, view: View) -> Iterator[Way]:
        found = _wrong(view)
        if not found:
            return
        live = [leak for leak in found if leak.live]
        if live:
            yield self.way(view, live[0].producer, partial(_leave, only_live=True))
        if len(live) != len(found):
            yield self.way(view, found[0].producer, partial(_leave, only_live=False))
        if any(leak.inside for leak in live):
            yield self.way(view, live[0].producer, partial(_leave, only_live=True, everyone=True))


def _leave(view: View, *, only_live: bool, everyone: bool = False) -> str:
    """Gives every leak a legal exit.

    Args:
        everyone: whether readers that could run in NCHW get the value behind the exit, too, and are dense then.
    """
    texts, reason = [], None
    for leak in _wrong(view):
        if leak.live or not only_live:
            try:
                texts.append(leave(view, leak, () if everyone else None))
            except CannotChange as why:
                reason = why
    if not texts:
        raise reason or CannotChange("no cluster is left illegally")
    return texts[0] if len(texts) == 1 else f"{texts[0]} (in {len(texts)} places)"


def _wrong(view: View) -> list[Leak]:
    return [leak for leak in leaks(view) if not leak.is_harmless]


RESCUES = (LeaveLegally(),)
