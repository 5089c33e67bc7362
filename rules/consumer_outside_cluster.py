"""XNN203: a value that operators inside and outside the cluster read."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import PartitionPlan, Plan

from ._text import dims


def split_values(part: PartitionPlan) -> list[int]:
    """Values whose readers disagree, each of which keeps a whole cluster in NHWC."""
    reasons = {r for c in part.decision.clusters for r in c.broken_by.values() if r.startswith("value:")}
    return sorted(int(r.removeprefix("value:")) for r in reasons)


class ConsumerOutsideCluster(Rule):
    """A value is read by an operator of the cluster and by one that is not part of it."""

    code = "XNN203"
    name = "consumer-outside-cluster"
    summary = "all readers of a value inside the cluster must be part of the cluster"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            producers = {v: node for node in part.nodes for v in node.outputs}
            for v in split_values(part):
                value = part.subgraph.values[v]
                if value.tensor is None or v not in producers:
                    continue
                readers = [plan.graph.operators[n.op] for n in part.nodes if v in n.inputs]
                names = ", ".join(dict.fromkeys(f"{r.name} ({r.type})" for r in readers))
                yield self.finding(
                    "one of the readers of its output cannot run in NCHW, so the whole cluster stays dense",
                    required="readers that all belong to the sparse cluster",
                    actual=f"{dims(value.shape)} read by {names}",
                    location=locate(plan, producers[v].op),
                    fix="let the other reader read the value through a pooling over H and W, or DEPTH_TO_SPACE",
                    applicability=Applicability.UNSAFE,
                    waivers=[("exit", value.tensor)],
                )
