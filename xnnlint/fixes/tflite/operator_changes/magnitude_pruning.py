"""Prunes the 1x1 kernels that the runtime could run sparse, so that the speed can be measured before any training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange, Exactness
from xnnlint.fixes.tflite.editor import Op, Purpose
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import is_as_planned, reached
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.tflite.sparse_encoding import FILTER, store_dense, stored_filter
from xnnlint.linter.findings import Applicability
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    import numpy as np

    from xnnlint.fixes.tflite.editor import GraphEdit


class PruneByMagnitude(OperatorFixer):
    """The smallest weights of each layer become zero, once everything else that makes it sparse is done."""

    name = "prune"
    stage = Stage.PRUNING
    fulfils = frozenset({Condition.ENOUGH_ZEROS, Condition.PRUNED})
    applicability = Applicability.UNSAFE
    exactness = Exactness.DIFFERENT
    summary = "--prune SHARE: the smallest weights of 1x1 convolutions that could run sparse -> zero"
    effect = "the accuracy is lost until the model is trained again; only the speed can be measured"
    whole = True

    def sites(self, view: View) -> Iterable[Op]:
        share = view.options.prune
        if share is None or not is_as_planned(view):
            return
        seen = set[int]()
        for op in reached(view):
            if op.type != "CONV_2D" or view.graph.purposes.get(op.inputs[FILTER]) is Purpose.STEM_WEIGHTS:
                continue
            if view.graph.shape(op.inputs[FILTER])[1:3] == (1, 1) and op.inputs[FILTER] not in seen:
                seen.add(op.inputs[FILTER])
                values = _values(view.graph, op)
                if values is not None and _count(values) > _kept(values, share):
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph, share = view.graph, view.options.prune
        assert share is not None
        densify = _densify(graph, op)
        if densify is not None:
            store_dense(graph, densify)
        stored = stored_filter(graph, op)
        values = graph.constant(stored) if stored is not None else None
        if stored is None or values is None:
            raise CannotChange("its weights are no fp32 or fp16 constant")
        pruned = prune(values, share)
        graph.tensors[stored].buffer = graph.edit.add_buffer(pruned.tobytes())
        before, after = _count(values), _count(pruned)
        return f"prune its weights: {before:,} -> {after:,} of {values.size:,}, the largest"


def prune(values: np.ndarray, share: float) -> np.ndarray:
    """Weights with the smallest set to zero, as TFMOT does at the end of its schedule.

    It keeps `round(size * (1 - share))` weights, and all that are as large as the smallest of these
    (tensorflow/model-optimization, sparsity/keras/pruning_impl.py, `Pruning._update_mask`).

    Args:
        share: of the weights that become zero, from 0 to 1.
    """
    import numpy as np

    magnitudes = np.sort(np.abs(values).reshape(-1))[::-1]
    return np.where(np.abs(values) >= magnitudes[_kept(values, share) - 1], values, np.zeros_like(values))


def _kept(values: np.ndarray, share: float) -> int:
    return max(round(values.size * (1 - share)), 1)


def _values(graph: GraphEdit, op: Op) -> np.ndarray | None:
    from xnnlint.fixes.tflite.sparse_encoding import dense_values

    densify = _densify(graph, op)
    if densify is not None:
        try:
            return dense_values(graph, densify.inputs[0])
        except CannotChange:
            return None
    stored = stored_filter(graph, op)
    return graph.constant(stored) if stored is not None and graph.dtype(stored) in ("FLOAT32", "FLOAT16") else None


def _densify(graph: GraphEdit, op: Op) -> Op | None:
    """The DENSIFY that unpacks an operator's filter, through a DEQUANTIZE or not."""
    unpacker = graph.unpacker(op.inputs[FILTER])
    if unpacker is not None and unpacker.type == "DEQUANTIZE":
        unpacker = graph.unpacker(unpacker.inputs[0])
    return unpacker if unpacker is not None and unpacker.type == "DENSIFY" else None


def _count(values: np.ndarray) -> int:
    import numpy as np

    return int(np.count_nonzero(values))


FIXERS: tuple[OperatorFixer, ...] = (PruneByMagnitude(),)
