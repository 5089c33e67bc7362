"""Ways to make a model right that computes wrong results or fails: the ones that keep it sparse come first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xnnlint.fixes.tflite import cluster_breaks as breaking
from xnnlint.fixes.tflite import cluster_exits as exits
from xnnlint.fixes.tflite import runtime_failures as mending
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.nchw_leaks import leaks
from xnnlint.fixes.tflite.operator_change import CannotChange, View, Way

LEAVE = "leave-through-depth-to-space"
SPLIT = "split-padding"
DENSE = "store-dense"
BRANCH = "remove-dead-branch"
BIAS = "bias-as-filter"
OUTPUT = "reshape-outputs"
NAMES: tuple[str, ...] = (BRANCH, BIAS, OUTPUT, LEAVE, SPLIT, DENSE)


def ways(view: View) -> Iterable[Way]:
    """In order of preference.

    1. What some runtimes fail over: branches that nobody reads, biases of another type than the filter, outputs that
       have no buffer.
    2. A legal exit of the cluster where its data leave it, so that both sides are right and the cluster stays sparse.
    3. A cluster without its entry, which is dense and right; others stay as they are.
    4. Weights stored dense: those of one operator, then all.
    """
    yield from _mending(view)
    yield from _leaving(view)
    yield from _splitting(view)
    yield from _storing(view)


def _mending(view: View) -> Iterator[Way]:
    dead = mending.dead_branch(view)
    if dead:
        yield _way(BRANCH, view, dead[0], mending.remove_dead_branch)
    mixed = mending.mixed_types(view)
    if mixed:
        yield _way(BIAS, view, mixed[0], mending.give_plain_biases)
    unbound = mending.unbound_outputs(view)
    if unbound:
        yield _way(OUTPUT, view, unbound[0], mending.reshape_outputs)


def _leaving(view: View) -> Iterator[Way]:
    found = leaks(view)
    if not found:
        return
    live = [leak for leak in found if leak.live]
    if live:
        yield _way(LEAVE, view, live[0].producer, lambda v: _leave(v, only_live=True))
    if len(live) != len(found):
        yield _way(LEAVE, view, found[0].producer, lambda v: _leave(v, only_live=False))
    if any(leak.inside for leak in live):
        yield _way(LEAVE, view, live[0].producer, lambda v: _leave(v, only_live=True, everyone=True))


def _leave(view: View, *, only_live: bool, everyone: bool = False) -> str:
    """Gives every leak a legal exit.

    Args:
        everyone: whether readers that could run in NCHW get the value behind the exit, too, and are dense then.
    """
    texts, reason = [], None
    for leak in leaks(view):
        if leak.live or not only_live:
            try:
                texts.append(exits.leave(view, leak, () if everyone else None))
            except CannotChange as why:
                reason = why
    if not texts:
        raise reason or CannotChange("no cluster is left illegally")
    return texts[0] if len(texts) == 1 else f"{texts[0]} (in {len(texts)} places)"


def _splitting(view: View) -> Iterator[Way]:
    stems = breaking.stems(view)
    for pad in stems:
        yield _way(SPLIT, view, pad, lambda v, uid=pad.uid: breaking.split(v, [uid]))
    if len(stems) > 1:
        uids = [pad.uid for pad in stems]
        yield _way(SPLIT, view, stems[0], lambda v: breaking.split(v, uids))


def _storing(view: View) -> Iterator[Way]:
    unpacking = list(view.of_type("DENSIFY"))
    for hazard in view.plan.hazards:
        op = view.op(hazard.op)
        for densify in unpacking if op is not None and len(unpacking) > 1 else ():
            if op is not None and breaking.feeds(view, densify, op):
                yield _way(DENSE, view, op, lambda v, uid=densify.uid: breaking.store(v, [uid]))
    if unpacking:
        uids = [densify.uid for densify in unpacking]
        yield _way(DENSE, view, unpacking[0], lambda v: breaking.store(v, uids))


def _way(name: str, view: View, op: Op, apply: Callable[[View], str]) -> Way:
    return Way(name, op.uid, view.place(op), apply)
