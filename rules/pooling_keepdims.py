"""XNN601: keepdims of the pooling that ends a cluster, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Applicability, Finding, Severity
from xnnlint.graph import Operator
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.ir import Node, NodeType
from xnnlint.xnnpack.plan import Outcome, PartitionPlan, Plan

from .reduce_input import REDUCTIONS, SPATIAL

RECOVERING = ("RESHAPE",)


class PoolingKeepdims(Rule):
    """The pooling at an output branch has no keepdims, or has it and is not followed by a reshape."""

    code = "XNN601"
    name = "pooling-keepdims"
    severity = Severity.WARNING
    summary = "only keepdims=True followed by a reshape is right on every runtime"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            for node in part.nodes:
                if node.type in REDUCTIONS and tuple(sorted(node.params["axes"])) == SPATIAL:
                    yield from self._check_node(plan, part, node)

    def _check_node(self, plan: Plan, part: PartitionPlan, node: Node) -> Iterable[Finding]:
        op = plan.graph.operators[node.op]
        tensor = op.outputs[0]
        readers = plan.graph.consumers(tensor)
        if not node.params["keep_dims"]:
            yield self.finding(
                "without keepdims, runtimes before LiteRT 1.0 leave this pooling out of XNNPACK and run dense",
                required="keepdims=True, followed by a reshape",
                actual="keepdims=False",
                location=locate(plan, op.index),
                fix="GlobalAveragePooling2D(keepdims=True) followed by Reshape or Flatten",
                applicability=Applicability.SAFE,
            )
            return
        others = [r for r in readers if not recovers(r) and not feeds_cluster(part, r)]
        if not others and tensor not in plan.graph.outputs:
            return
        followed = ", ".join(dict.fromkeys(f"{r.type} ({r.name})" for r in others)) or "the model's output"
        broken = any(h.op in {op.index, *(r.index for r in others)} for h in plan.hazards)
        text = "breaks here" if broken else "breaks on some runtimes"
        yield self.finding(
            f"keepdims that is not followed by a reshape {text}: the runtime gives the pooled value a wrong shape",
            severity=Severity.ERROR if broken and plan.outcome is not Outcome.SPARSE else Severity.WARNING,
            required="a RESHAPE as the only reader of a pooling with keepdims",
            actual=f"read by {followed}",
            location=locate(plan, op.index),
            fix="put a Reshape or Flatten directly behind it, or drop keepdims",
            applicability=Applicability.SAFE,
        )


def feeds_cluster(part: PartitionPlan, op: Operator) -> bool:
    """Whether an operator is a 1x1 convolution whose own readers can run in NCHW, as in squeeze-and-excite blocks."""
    verdicts = dict(zip(map(id, part.nodes), part.decision.verdicts, strict=True))
    outputs = [v for n in part.nodes if n.op == op.index and n.type == NodeType.FULLY_CONNECTED for v in n.outputs]
    if not outputs or any(part.subgraph.values[v].external_output for v in outputs):
        return False
    readers = [n for v in outputs for n in part.nodes if v in n.inputs]
    return bool(readers) and all(verdicts[id(n)].layout for n in readers)


def recovers(op: Operator) -> bool:
    """Whether an operator takes only the elements of its input, whatever the shape."""
    return op.type in RECOVERING or (op.type == "FULLY_CONNECTED" and not op.attributes.get("keep_num_dims"))
