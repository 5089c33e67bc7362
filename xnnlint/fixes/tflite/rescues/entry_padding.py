"""A cluster without its entry is dense, and right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.rescue import Preference, Rescue, Way
from xnnlint.xnnpack.ir import Layout

HEIGHT, WIDTH = 1, 2


class SplitPadding(Rescue):
    """One entry after the other, then all."""

    name = "split-padding"
    stage = Preference.DENSE_CLUSTER
    summary = "the PAD of a cluster's entry -> one that XNNPACK does not fuse, so that the cluster is dense"

    def ways(self, view: View) -> Iterator[Way]:
        found = stems(view)
        for pad in found:
            yield self.way(view, pad, partial(_split, uids=[pad.uid]))
        if len(found) > 1:
            uids = [pad.uid for pad in found]
            yield self.way(view, found[0], partial(_split, uids=uids))


def stems(view: View) -> list[Op]:
    """The PADs that XNNPACK folds into the entries of clusters."""
    found = []
    for part in view.plan.partitions:
        for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
            stem = view.op(node.op) if verdict.layout & Layout.ENTRY else None
            pad = view.graph.producer(stem.inputs[0]) if stem is not None else None
            if pad is not None and pad.type == "PAD" and pad not in found:
                found.append(pad)
    return found


def _split(view: View, uids: Iterable[str]) -> str:
    """Pads the height and then the width in front of a stem, which then is no entry: that needs a padding of 1 on all
    four sides (google/XNNPACK src/subgraph.c `xnn_check_nchw_compatibility`).

    XNNPACK folds a PAD into the convolution behind it and visits the values in the order of their numbers, each once
    (`xnn_subgraph_fusion`). So the value between the PADs has to have the lower number: when it is visited, a PAD is
    behind it.
    """
    import numpy as np

    graph = view.graph
    for uid in uids:
        pad = graph.find(uid)
        assert pad is not None
        amounts = graph.constant(pad.inputs[1])
        if amounts is None or amounts.shape != (4, 2):
            raise CannotChange("its paddings are not constant")
        first, second = np.zeros_like(amounts), amounts.copy()
        first[HEIGHT], second[HEIGHT] = amounts[HEIGHT], 0
        batch, height, width, channels = graph.shape(pad.inputs[0])
        taller = graph.add_like(pad.inputs[0], "_padded_height", (batch, height + int(first.sum()), width, channels))
        whole = graph.add_like(pad.outputs[0], "_padded")
        name = graph.name(pad.inputs[1])
        graph.insert(
            "PAD",
            [pad.inputs[0], graph.add_constant(f"{name}_height", first)],
            [taller],
            near=pad,
            options="PadOptions",
        )
        graph.rewire(pad.outputs[0], whole)
        pad.inputs, pad.outputs = [taller, graph.add_constant(f"{name}_width", second)], [whole]
    return "pad height and width one after the other, so that the cluster has no entry and runs dense"


RESCUES = (SplitPadding(),)
