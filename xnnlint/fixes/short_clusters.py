"""Clusters that are dense only for the kernels of what they compute on single pixels, such as squeeze-and-excite.

XNNPACK adds up the zeros of all 1x1 kernels of a cluster, also of those that take no time to speak of (google/XNNPACK
src/subgraph.c `xnn_subgraph_rewrite_for_nchw`). A 1x1 convolution that gives every channel of one pixel to itself has
a one in each row and zeros for the rest, which count as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from xnnlint.model.graph import Operator
from xnnlint.model.weights import measure
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, Cluster, passes_zeros_test
from xnnlint.xnnpack.plan import PartitionPlan, Plan

_MOST_COPIES = 4
_RANK = 4


class ShortCluster(Struct, frozen=True):
    """A cluster with too few zeros, for which so many copies of one pixel make up.

    Attributes:
        op: the convolution that reads the most channels of one pixel.
        channels: how many these are.
        counted: every operator whose weights count.
    """

    op: Operator
    channels: int
    copies: int
    counted: tuple[Operator, ...]


def short_clusters(plan: Plan) -> Iterator[ShortCluster]:
    """Those of a model, as it was planned."""
    for part in plan.partitions:
        for cluster in part.decision.clusters:
            if not cluster.broken_by and not cluster.enough_zeros:
                yield from _short(plan, part, cluster)


def _short(plan: Plan, part: PartitionPlan, cluster: Cluster) -> Iterator[ShortCluster]:
    graph = plan.graph
    counted = [graph.operators[part.nodes[n].op] for n in cluster.nodes]
    counted = [op for op in counted if op.type in ("CONV_2D", "FULLY_CONNECTED")]
    pixels = [op for op in counted if op.type == "CONV_2D" and _reads_one_pixel(plan, op)]
    measured = [m for op in pixels if (m := measure(graph, op.inputs[1])) is not None]
    params = cluster.params - sum(m.elements for m in measured)
    zeros = cluster.zeros - sum(m.zeros for m in measured)
    if not pixels or not passes_zeros_test(zeros, params):
        return
    widest = max(pixels, key=lambda op: graph.tensors[op.inputs[0]].shape[-1])
    channels = graph.tensors[widest.inputs[0]].shape[-1]
    gained = DENOMINATOR * (channels - 1) * channels - NUMERATOR * channels**2
    lacking = NUMERATOR * cluster.params - DENOMINATOR * cluster.zeros
    if gained > 0 and (copies := lacking // gained + 1) <= _MOST_COPIES:
        yield ShortCluster(widest, channels, copies, tuple(counted))


def _reads_one_pixel(plan: Plan, op: Operator) -> bool:
    shape = plan.graph.tensors[op.inputs[0]].shape
    return len(shape) == _RANK and shape[1] * shape[2] == 1
