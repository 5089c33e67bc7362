"""Outputs for which LiteRT has no buffer."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_changes.constant_reshape import fix_batch
from xnnlint.fixes.tflite.operator_changes.map_pooling import add_reshape
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way
from xnnlint.xnnpack.computed_shapes import shapes_at_run_time
from xnnlint.xnnpack.plan import Outcome


class ReshapeOutputs(Rescue):
    """Behind a RESHAPE to a constant shape an output has a buffer of its own."""

    name = "reshape-outputs"
    stage = Preference.FAILURES
    summary = "outputs of a computed shape, or that are inputs, for which LiteRT has no buffer -> RESHAPE"

    def ways(self, view: View) -> Iterator[Way]:
        if unbound := unbound_outputs(view):
            yield self.way(view, unbound[0], _reshape_outputs)


def unbound_outputs(view: View) -> list[Op]:
    """Operators at which LiteRT has no buffer for an output: those that compute its shape, and those that read an
    input that is an output, too (`OutcomeJudge` in xnnlint.xnnpack.outcome has the source)."""
    found = (view.op(hazard.op) for hazard in view.plan.hazards if hazard.of_output)
    return [op for op in found if op is not None]


def _reshape_outputs(view: View) -> str:
    """Behind a RESHAPE to a constant shape an output has a buffer of its own."""
    graph, of_one = view.graph, view.options.batch == 1
    # Of inputs that all have their sizes a computed one is always the same.
    is_known = of_one or all(-1 not in graph.signature(tensor) for tensor in graph.inputs)
    shapes = shapes_at_run_time(view.plan.graph) if is_known else {}
    for hazard in view.plan.hazards:
        op = view.op(hazard.op) if hazard.of_output and hazard.outcome is Outcome.FAILS else None
        for slot, tensor in enumerate(op.outputs if op is not None else ()):
            if op is not None and tensor in graph.outputs:
                if of_one:
                    fix_batch(graph)
                if is_known:
                    graph.set_shape(tensor, shapes.get(tensor) or graph.shape(tensor))
                elif sum(size < 0 for size in graph.signature(tensor)) > 1:
                    raise CannotChange("more than its batch is dynamic (--batch 1 may help)")
                computed, told = graph.displace(op, "_computed", slot=slot)
                add_reshape(view, op, computed, told)
    for tensor in set(graph.outputs) & set(graph.inputs):
        copy = graph.add_like(tensor, "_copy")
        add_reshape(view, graph.operators[-1], tensor, copy)
        graph.give_instead(tensor, copy)
    return "RESHAPE to a constant shape in front of its outputs, for which LiteRT has a buffer then"


RESCUES = (ReshapeOutputs(),)
