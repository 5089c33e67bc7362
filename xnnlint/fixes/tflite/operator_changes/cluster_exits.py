"""A way out of a sparse cluster that is legal for any map: DEPTH_TO_SPACE, and SPACE_TO_DEPTH, which undoes it.

DEPTH_TO_SPACE is the one operator that reads NCHW and writes NHWC without computing anything: `xnn_layout_flag_
nchw_to_nhwc`, whatever its input (google/XNNPACK src/subgraph.c `xnn_check_nchw_compatibility`). XNNPACK has no rewrite
that would remove the pair (src/subgraph.c `xnn_subgraph_optimize_common_subgraphs`). The numbers stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from xnnlint.fixes.change import CannotChange
from xnnlint.fixes.tflite.editor import Op
from xnnlint.fixes.tflite.graph_view import View
from xnnlint.fixes.tflite.nchw_leaks import Leak, is_as_planned, leaks
from xnnlint.fixes.tflite.operator_changes.pointwise_forms import selecting_convolution
from xnnlint.fixes.tflite.operator_fixer import OperatorFixer, Stage
from xnnlint.xnnpack.conditions.condition import Condition

BLOCK = 2
_KEEP_END_OF_FIRST_THREE = 0b0111


class LeaveCluster(OperatorFixer):
    """Once nothing else is left to change, whatever leaves a cluster leaves it legally."""

    name = "leave-through-depth-to-space"
    stage = Stage.EXIT
    fulfils = frozenset(
        {
            Condition.BRANCH_END,
            Condition.CLUSTER_END,
            Condition.CONSUMER_INSIDE,
            Condition.OUTPUT_OUTSIDE,
            Condition.POINTWISE_IN_CLUSTER,
            Condition.RIGHT_RESULTS,
            Condition.LOADS_AND_RUNS,
        }
    )
    summary = "maps that leave a sparse cluster other than through a pooling -> DEPTH_TO_SPACE and SPACE_TO_DEPTH"

    def sites(self, view: View) -> Iterable[Op]:
        if not is_as_planned(view):
            return
        for leak in leaks(view):
            yield leak.producer

    def apply(self, view: View, op: Op) -> str:
        leak = next((leak for leak in leaks(view) if leak.producer is op), None)
        if leak is None:
            raise CannotChange("it leaves no cluster")
        return leave(view, leak)


def leave(view: View, leak: Leak, inside: tuple[Op, ...] | None = None) -> str:
    """Lets the readers outside of a cluster, and the outputs, have a value in NHWC.

    Args:
        inside: the readers that get it as it lies; all that could, where None.

    Raises:
        CannotChange: more than the batch is dynamic, or the value is no map.
    """
    graph, tensor = view.graph, leak.tensor
    shape, signature = graph.shape(tensor), graph.signature(tensor)
    if len(shape) != 4 or any(d < 0 for d in signature[1:]):
        raise CannotChange("its height and width are dynamic")
    if graph.dtype(tensor) != "FLOAT32":
        raise CannotChange(f"it is of type {graph.dtype(tensor)}")
    new, old = graph.displace(leak.producer, "_nchw")
    graph.rewire(old, new, leak.inside if inside is None else inside)
    _between(view, leak.producer, new, old)
    return "leave the cluster through DEPTH_TO_SPACE, and undo that with SPACE_TO_DEPTH"


def _between(view: View, after: Op, source: int, target: int) -> None:
    graph = view.graph
    batch, height, width, channels = graph.shape(source)
    wide = math.ceil(channels / BLOCK**2) * BLOCK**2
    widened = source if wide == channels else graph.add_like(source, "_widened", (batch, height, width, wide))
    spread = graph.add_like(source, "_spread", (batch, height * BLOCK, width * BLOCK, wide // BLOCK**2))
    spreading = graph.insert(
        "DEPTH_TO_SPACE",
        [widened],
        [spread],
        near=after,
        after=True,
        options="DepthToSpaceOptions",
        blockSize=BLOCK,
    )
    if widened != source:
        rows: list[int | None] = [*range(channels), *[None] * (wide - channels)]
        selecting_convolution(view, spreading, source, widened, rows)
    gathered = target if wide == channels else graph.add_like(widened, "_gathered")
    after = graph.insert(
        "SPACE_TO_DEPTH",
        [spread],
        [gathered],
        near=spreading,
        after=True,
        options="SpaceToDepthOptions",
        blockSize=BLOCK,
    )
    if gathered != target:
        _first_channels(view, after, gathered, target)


def _first_channels(view: View, after: Op, source: int, target: int) -> None:
    import numpy as np

    graph = view.graph
    shape, name = graph.shape(target), graph.name(target)
    vectors = {"begin": (0, 0, 0, 0), "end": shape, "strides": (1, 1, 1, 1)}
    constants = [graph.add_constant(f"{name}/{key}", np.array(v, np.int32)) for key, v in vectors.items()]
    graph.insert(
        "STRIDED_SLICE",
        [source, *constants],
        [target],
        near=after,
        after=True,
        options="StridedSliceOptions",
        endMask=_KEEP_END_OF_FIRST_THREE,
    )


FIXERS: tuple[OperatorFixer, ...] = (LeaveCluster(),)
