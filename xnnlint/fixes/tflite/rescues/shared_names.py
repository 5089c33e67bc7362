"""Inputs and outputs that share a name, over which LiteRT's compiled models crash."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way
from xnnlint.xnnpack.entry_names import nameless
from xnnlint.xnnpack.fault import FaultKind


class NameApart(Rescue):
    """A number behind the name, where the file has no signature; one that leaves names out is not mended."""

    name = "name-apart"
    stage = Preference.FAILURES
    summary = "inputs or outputs of one name in a file without a signature -> a name each"
    any_size = True

    def ways(self, view: View) -> Iterator[Way]:
        model = view.plan.model
        hazard = next((h for h in view.plan.hazards if h.kind is FaultKind.NAMES), None)
        op = None if hazard is None or hazard.op is None else view.op(hazard.op)
        if op is not None and not model.signatures:
            yield self.way(view, op, _name_apart)


def _name_apart(view: View) -> str:
    graph = view.graph
    taken = {graph.name(t) for t in range(len(graph.tensors))}
    given = []
    for _, tensor in nameless(view.plan.model, view.plan.graph):
        old = graph.name(tensor)
        new = next(name for n in range(1, len(taken) + 2) if (name := f"{old}_{n}") not in taken)
        graph.tensors[tensor].name = new
        taken.add(new)
        given.append(new)
    return f"name what shares its name with another: {', '.join(given)}"


RESCUES = (NameApart(),)
