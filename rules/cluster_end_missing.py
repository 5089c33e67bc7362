"""XNN202: a partition in which no operator can end a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import Plan

from ._branches import ends, open_branches, pointwise_in


class ClusterEndMissing(Rule):
    """No operator of the partition turns NCHW back into NHWC, so the runtime never considers NCHW."""

    code = "XNN202"
    name = "cluster-end-missing"
    summary = "without a pooling over H and W, or DEPTH_TO_SPACE, nothing switches the sparse mode on"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            branches = list(open_branches(part))
            if ends(part) or not branches or not pointwise_in(plan, part):
                continue
            names = sorted({plan.graph.operators[b.node.op].name for b in branches})
            yield self.finding(
                "nothing in this part of the graph ends a sparse cluster, so XNNPACK does not look for one",
                required="MEAN or SUM over H and W, or DEPTH_TO_SPACE, on every way to an output",
                actual=f"none; maps leave at {', '.join(names)}",
                location=locate(plan, branches[0].node.op),
                fix="end the model with GlobalAveragePooling2D(keepdims=True) and a Reshape or Flatten",
                applicability=Applicability.UNSAFE,
                waivers=[("exit", b.value.tensor) for b in branches],
            )
