"""XNN203: a value that operators inside and outside the cluster read."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.ir import Node
from xnnlint.xnnpack.plan import PartitionPlan, Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._text import dims, listed, named


def split_values(part: PartitionPlan) -> list[int]:
    """Values whose readers disagree, each of which keeps a whole cluster in NHWC."""
    breaks = {b for cluster in part.decision.clusters for b in cluster.broken_by.values()}
    return sorted(b.value for b in breaks if b.value is not None)


def readers_outside(part: PartitionPlan, value: int) -> list[Node]:
    """The readers of a value that cannot be part of its cluster."""
    decision = part.decision
    outside = []
    for n, node in enumerate(part.nodes):
        cluster = decision.cluster_of.get(n)
        if value in node.inputs and (not decision.verdicts[n].layout or cluster is None or n in cluster.broken_by):
            outside.append(node)
    return outside


class ConsumerOutsideCluster(Rule):
    """A value is read by an operator of the cluster and by one that is not part of it.

    ## What it does
    Finds the values for which the runtime takes a whole cluster back to NHWC: some of their readers can run in NCHW,
    and some cannot.

    ## Why it matters
    One such value keeps every 1x1 convolution of its cluster dense. The outputs are correct.

    ## Example
    ```python
    y = layers.Conv2D(64, 1)(x)
    a = layers.GlobalAveragePooling2D(keepdims=True)(y)
    b = layers.MaxPooling2D()(y)
    ```

    ## Use instead
    ```python
    y = layers.Conv2D(64, 1)(x)
    a = layers.GlobalAveragePooling2D(keepdims=True)(y)
    b = layers.DepthwiseConv2D(3, strides=2, padding="valid")(layers.ZeroPadding2D(1)(y))
    ```
    Either the reader outside becomes one that runs in NCHW (its own finding says how), or it reads the value through a
    pooling or through DEPTH_TO_SPACE.

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: the count of NCHW consumers against all consumers
      (since 9de90e0b, 2020-06-18)
    """

    code = "XNN203"
    name = "consumer-outside-cluster"
    condition = Condition.CONSUMER_INSIDE
    of_whole_graph = True
    summary = "all readers of a value inside the cluster must be part of the cluster"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            producers = {v: node for node in part.nodes for v in node.outputs}
            for v in split_values(part):
                value = part.subgraph.values[v]
                outside = readers_outside(part, v)
                if value.tensor is None or v not in producers or not outside:
                    continue
                names = listed([named(plan.graph, n.op) for n in outside])
                yield self.finding(
                    "one of the readers of its output cannot be part of the cluster, so the whole cluster stays dense",
                    required="readers that all belong to the sparse cluster",
                    actual=f"{dims(value.shape)} is read by {names}, too",
                    location=locate(plan, producers[v].op),
                    fix=f"let {names} read the value through a pooling over H and W, or DEPTH_TO_SPACE",
                    applicability=Applicability.UNSAFE,
                    waivers=[Waiver(WaiverKind.EXIT, value.tensor)],
                )
