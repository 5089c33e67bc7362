"""XNN204: a value inside the cluster that is also an output."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import is_read_inside
from ._text import dims, listed, named, where_used


class OutputInsideCluster(Rule):
    """A value that operators of the cluster read is also an output of the model, or read outside of XNNPACK.

    ## What it does
    Finds maps that operators which can run in NCHW compute, that others of them read, and that leave XNNPACK's part of
    the graph at the same time.

    ## Why it matters
    Whatever reads such a value counts as outside the cluster, so the model is cut in two there. The part in front may
    still run in NCHW, and then the value itself is wrong (XNN901).

    ## Example
    ```python
    features = layers.Conv2D(64, 1)(x)
    model = keras.Model(image, [classifier(features), features])
    ```

    ## Use instead
    ```python
    model = keras.Model(image, [classifier(features), layers.GlobalAveragePooling2D()(features)])
    ```

    ## Fix safety
    Unsafe: the output changes.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: nodes that read an external value become
      incompatible
    """

    code = "XNN204"
    name = "output-inside-cluster"
    condition = Condition.OUTPUT_OUTSIDE
    of_whole_graph = True
    summary = "a value inside the cluster must not be an output, too"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            inside = frozenset(part.partition.ops)
            for value in part.subgraph.values:
                if value.id not in part.writers or value.tensor is None or not is_read_inside(part, value):
                    continue
                producer = part.writers[value.id]
                if not part.decision.verdicts[producer].layout:
                    continue
                yield self.finding(
                    "its output is read inside the cluster, and leaves it as a map, too",
                    required="values that only operators of the cluster read",
                    actual=f"a map of shape {dims(value.shape)}, {where_used(plan.graph, value.tensor)}",
                    location=locate(plan, part.nodes[producer].op),
                    fix=_fix(plan, inside, value.tensor),
                    applicability=Applicability.UNSAFE,
                    waivers=[Waiver(WaiverKind.EXIT, value.tensor)],
                )


def _fix(plan: Plan, inside: frozenset[int], tensor: int) -> str:
    if tensor in plan.graph.outputs:
        return "output a pooled or DEPTH_TO_SPACE copy of it, or drop the output"
    consumers = [op.index for op in plan.graph.consumers(tensor)]
    # A variable that the partition itself assigns has none outside.
    outside = [op for op in consumers if op not in inside] or consumers
    readers = listed([named(plan.graph, op) for op in outside])
    return f"let {readers} read it through DEPTH_TO_SPACE, or fix what splits the graph in front of it (XNN401)"
