"""Zeros stored dense, encoded sparse where TensorFlow's converter would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.fixes.tflite.sparse_encoding import FILTER, encode, stored_filter, zero_share
from xnnlint.model.converter_storage import MIN_ZERO_SHARE
from xnnlint.xnnpack.conditions.condition import Condition

if TYPE_CHECKING:
    from xnnlint.fixes.tflite.editor import Op


class EncodeZeros(OperatorFixer):
    """Only a DENSIFY makes the runtime look for zeros at all."""

    name = "encode-zeros"
    stage = Stage.ENCODING
    fulfils = frozenset({Condition.STORED_SPARSE})
    summary = "zeros stored dense -> sparse encoding and DENSIFY"
    whole = True
    any_size = True

    def sites(self, view: View) -> Iterable[Op]:
        """1x1 convolutions with a filter of which the converter would encode the zeros; of those that share one, the
        first."""
        seen = set[int]()
        for op in view.of_type("CONV_2D"):
            if (
                len(op.inputs) > FILTER
                and op.inputs[FILTER] >= 0
                and view.graph.shape(op.inputs[FILTER])[1:3] == (1, 1)
            ):
                source = stored_filter(view.graph, op)
                if source is not None and source not in seen and zero_share(view.graph, source) >= MIN_ZERO_SHARE:
                    seen.add(source)
                    yield op

    def apply(self, view: View, op: Op) -> str:
        graph = view.graph
        source = stored_filter(graph, op)
        if source is None:
            raise CannotChange("its filter is encoded already")
        zeros, before = zero_share(graph, source), len(graph.data(source))
        first = next(o for o in graph.operators if source in o.inputs)
        sparse = encode(graph, source, near=first)
        after = len(graph.data(sparse))
        return f"store {zeros:.0%} zeros sparse, and unpack them with DENSIFY ({before:,} -> {after:,} bytes of values)"


FIXERS: tuple[OperatorFixer, ...] = (EncodeZeros(),)
