"""Weights stored dense, so that the runtime looks for no zeros: always right, and dense."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import STORE_DENSE, Preference, Rescue, Way
from xnnlint.fixes.tflite.sparse_encoding import store_dense


class StoreDense(Rescue):
    """Those that an operator reads which goes wrong, then all."""

    name = STORE_DENSE
    stage = Preference.DENSE_WEIGHTS
    summary = "DENSIFY -> the weights stored dense"
    any_size = True

    def ways(self, view: View) -> Iterator[Way]:
        unpacking = list(view.of_type("DENSIFY"))
        for hazard in view.plan.hazards:
            op = view.op(hazard.op)
            for densify in unpacking if op is not None and len(unpacking) > 1 else ():
                if op is not None and feeds(view, densify, op):
                    yield self.way(view, op, partial(_store, uids=[densify.uid]))
        if unpacking:
            uids = [densify.uid for densify in unpacking]
            yield self.way(view, unpacking[0], partial(_store, uids=uids))


def feeds(view: View, densify: Op, op: Op) -> bool:
    """Whether an operator reads what a DENSIFY unpacks, through a DEQUANTIZE or not."""
    unpacked = densify.outputs[0]
    direct = view.graph.consumers(unpacked)
    return op in direct or any(r.type == "DEQUANTIZE" and op in view.graph.consumers(r.outputs[0]) for r in direct)


def _store(view: View, uids: Iterable[str]) -> str:
    """Without a DENSIFY the runtime looks for no zeros (google-ai-edge/LiteRT tflite/delegates/xnnpack/
    xnnpack_delegate.cc: `static_sparse_weights_`, from which XNN_FLAG_HINT_SPARSE_INFERENCE comes)."""
    count = 0
    for uid in uids:
        densify = view.graph.find(uid)
        assert densify is not None
        store_dense(view.graph, densify)
        count += 1
    what = "its weights" if count == 1 else f"the weights of all {count} DENSIFYs"
    return f"store {what} dense, and drop DENSIFY"


RESCUES = (StoreDense(),)
