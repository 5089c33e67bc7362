"""What `--assume-pruned` forecasts, in one sentence: it is asked before weeks of fine-tuning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xnnlint.xnnpack.plan import Outcome

if TYPE_CHECKING:
    from xnnlint.model.graph import Graph, Operator
    from xnnlint.xnnpack.plan import Plan

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D")
_INSTEAD = {
    Outcome.DENSE: "the model runs dense all the same: pruning alone gains nothing",
    Outcome.WRONG_RESULTS: "the model gives wrong results",
    Outcome.FAILS: "the model fails",
}


def forecast(plan: Plan, share: float) -> str:
    """The sentence.

    Args:
        plan: of the model as it will be.
        share: of every 1x1 kernel that is taken to be pruned, 0 to 1.
    """
    begin = f"If {share:.0%} of every 1x1 kernel is pruned,"
    summary = plan.summary
    if plan.outcome is not Outcome.SPARSE or summary is None:
        return f"{begin} {_INSTEAD.get(plan.outcome, 'nothing changes')}."
    what = "1x1 convolution goes" if summary.pointwise_convs == 1 else "1x1 convolutions go"
    count = f"{summary.spmm} of {summary.pointwise_convs} {what} sparse"
    total = total_macs(plan.graph)
    return f"{begin} {count}, {summary.spmm_macs / total:.0%} of all MACs." if total else f"{begin} {count}."


def total_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference in all convolutions, matrix products and fully-connected operators; a
    dynamic dimension counts as 1, and zeros count as other weights do."""
    return sum(macs(graph, op) for op in graph.operators)


def macs(graph: Graph, op: Operator) -> int:
    """Multiply-accumulates of one operator in one inference; 0 of what is no product of matrices."""
    if op.type not in (*_WEIGHTED, "BATCH_MATMUL") or not op.outputs:
        return 0
    first, second, output = graph.input_tensor(op, 0), graph.input_tensor(op, 1), graph.output_tensor(op)
    if first is None or second is None or not second.shape or not output.shape:
        return 0
    if op.type == "BATCH_MATMUL":
        depth = -2 if op.attributes.get("adj_x") else -1
        return math.prod(output.shape) * first.shape[depth] if first.rank > 1 else 0
    if op.type == "TRANSPOSE_CONV":
        image = graph.input_tensor(op, 2)
        return math.prod(image.shape[:-1]) * math.prod(second.shape) if image is not None else 0
    if op.type == "FULLY_CONNECTED":
        return math.prod(output.shape) * second.shape[-1]
    return math.prod(output.shape[:-1]) * math.prod(second.shape)
