"""XNN305: 1x1 convolutions that stay dense in a sparse model, because the cluster ended before them."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.ir import Layout, Node
from xnnlint.xnnpack.plan import Outcome, PartitionPlan, Plan, pointwise_ops

from ._pruning import percent, weights_of
from ._text import listed, named


class PointwiseBehindClusterEnd(Rule):
    """In a model that runs sparse, some 1x1 convolutions stay dense, since the cluster ends before them.

    ## What it does
    Groups the 1x1 convolutions that run dense by the pooling or DEPTH_TO_SPACE behind which they stand, and says how
    many of their weights are zero.

    ## Why it matters
    This is for information. Behind the end of a cluster all data is NHWC again, and only a new stem could start another
    cluster. For heads this is usual: they are small, and DEPTH_TO_SPACE or the pooling in front of them is what makes
    the rest correct. Zeros in such weights bring nothing, so these layers need no pruning.

    ## Example
    ```python
    x = tf.nn.depth_to_space(x, 2)
    scores = layers.Conv2D(17, 1)(x)
    ```

    ## Use instead
    ```python
    scores = tf.nn.depth_to_space(layers.Conv2D(17 * 4, 1)(x), 2)
    ```
    if the head is worth it.

    ## Fix safety
    There is nothing to fix; another head has to be trained.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: DEPTH_TO_SPACE reads NCHW and writes NHWC only
    """

    code = "XNN305"
    name = "pointwise-behind-cluster-end"
    condition = Condition.POINTWISE_IN_CLUSTER
    of_whole_graph = True
    severity = Severity.NOTE
    summary = "in a sparse model, which 1x1 convolutions stay dense behind the end of the cluster, and why"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if plan.outcome is not Outcome.SPARSE:
            return
        dense = set(pointwise_ops(plan.graph)) - plan.spmm_ops
        groups: dict[tuple[int, ...], list[int]] = {}
        for part in plan.partitions:
            ends = _ends_before(part)
            for node in part.nodes:
                if node.op in dense and ends.get(id(node)):
                    groups.setdefault(tuple(sorted(ends[id(node)])), []).append(node.op)
        for end_ops, ops in groups.items():
            names = listed([named(plan.graph, op) for op in end_ops])
            count = f"{len(ops)} 1x1 convolutions stay" if len(ops) > 1 else "a 1x1 convolution stays"
            yield self.finding(
                f"{count} dense behind the end of the sparse cluster, {names}",
                actual=f"{listed([plan.graph.operators[op].name for op in ops], 6)}: "
                f"{percent(weights_of(plan, ops).share)} of their weights are zero",
                location=locate(plan, ops[0]),
            )


def _ends_before(part: PartitionPlan) -> dict[int, set[int]]:
    """`id` of a node -> the operators before it at which a live cluster ended."""
    found: dict[int, set[int]] = {}
    by_value: dict[int, set[int]] = {}
    for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
        before = set().union(*(by_value.get(v, set()) for v in node.inputs))
        found[id(node)] = before
        if verdict.layout & Layout.EXIT and _reads_nchw(part, node) and not _writes_nchw(part, node):
            before = {node.op}
        by_value |= dict.fromkeys(node.outputs, before)
    return found


def _reads_nchw(part: PartitionPlan, node: Node) -> bool:
    return any(part.subgraph.values[v].nchw for v in node.inputs)


def _writes_nchw(part: PartitionPlan, node: Node) -> bool:
    return any(part.subgraph.values[v].nchw for v in node.outputs)
