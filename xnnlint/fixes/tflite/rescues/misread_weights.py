"""Sparse-encoded weights that their reader takes for dense ones, stored dense."""

from __future__ import annotations

from collections.abc import Iterator

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way
from xnnlint.fixes.tflite.sparse_encoding import drop_encoding
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.fault import FaultKind
from xnnlint.xnnpack.plan import Hazard


class DecodeWeights(Rescue):
    """All of them; those that a DENSIFY unpacks, or a kernel reads that knows them, stay as they are."""

    name = "decode-weights"
    fulfils = frozenset({Condition.KNOWN_ENCODING, Condition.RIGHT_RESULTS, Condition.LOADS_AND_RUNS})
    stage = Preference.FAILURES
    summary = "weights stored sparse without DENSIFY whose reader does not know the encoding -> stored dense"
    any_size = True

    def ways(self, view: View) -> Iterator[Way]:
        if found := misread(view):
            yield self.way(view, found[0][0], store_misread_dense)


def is_misreading(hazard: Hazard) -> bool:
    """Whether an operator takes what is stored for the whole tensor."""
    return hazard.kind is FaultKind.SPARSE_ENCODING


def misread(view: View) -> list[tuple[Op, int]]:
    """Readers and the tensors that each takes for dense; what a subgraph reads has other indices, and is left alone."""
    faults = [(h.op, h.fault.subject.index) for h in view.plan.hazards if h.op is not None and is_misreading(h)]
    found = [(view.op(index), tensor) for index, tensor in faults]
    return [(op, tensor) for op, tensor in found if op is not None and tensor in op.inputs]


def store_misread_dense(view: View) -> str:
    """Store all of them dense; gives what was done, in words."""
    found = misread(view)
    for op, tensor in found:
        if view.graph.tensors[tensor].sparsity is not None:
            drop_encoding(view.graph, op, tensor)
    return "store its weights dense" if len(found) == 1 else f"store the weights of all {len(found)} dense"


RESCUES = (DecodeWeights(),)
