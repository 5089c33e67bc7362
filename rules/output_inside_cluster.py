"""XNN204: a value inside the cluster that is also an output."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.execution import is_order_free
from xnnlint.xnnpack.plan import Plan

from ._text import dims


class OutputInsideCluster(Rule):
    """A value that operators of the cluster read is also an output of the model or of the delegate's partition."""

    code = "XNN204"
    name = "output-inside-cluster"
    summary = "a value inside the cluster must not be an output, too"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            producers = {v: i for i, node in enumerate(part.nodes) for v in node.outputs}
            verdicts = dict(zip(map(id, part.nodes), part.decision.verdicts, strict=True))
            for value in part.subgraph.values:
                if not value.external_output or value.id not in producers or value.tensor is None:
                    continue
                inside = any(value.id in n.inputs and verdicts[id(n)].layout for n in part.nodes)
                producer = producers[value.id]
                if not inside or not part.decision.verdicts[producer].layout or is_order_free(value.shape):
                    continue
                is_output = value.tensor in plan.graph.outputs
                where = "an output of the model" if is_output else "read outside the delegate's partition"
                yield self.finding(
                    f"its output is used inside the cluster and is {where}",
                    required="values that only operators of the cluster read",
                    actual=f"{dims(value.shape)} {value.tensor_name!r}, {where}",
                    location=locate(plan, part.nodes[producer].op),
                    fix="give out a pooled or DEPTH_TO_SPACE copy of it, or drop the output",
                    applicability=Applicability.UNSAFE,
                    waivers=[("exit", value.tensor)],
                )
