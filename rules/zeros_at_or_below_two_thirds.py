"""XNN301: a cluster whose weights do not have enough zeros."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.findings import Finding
from xnnlint.rule import Rule, locate
from xnnlint.xnnpack.plan import PartitionPlan, Plan, pointwise_ops

from ._pruning import percent, weighted_nodes, weights_of


class ZerosAtOrBelowTwoThirds(Rule):
    """The 1x1 weights of a cluster are pruned, but not more than two thirds of them are zero."""

    code = "XNN301"
    name = "zeros-at-or-below-two-thirds"
    summary = "strictly more than two thirds of a cluster's 1x1 weights must be zero, counted over the whole cluster"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            inside = set(part.partition.ops)
            apart = [op for op in pointwise_ops(plan.graph) if op in inside]
            for cluster in part.decision.clusters if part.decision.armed else ():
                ops = list(dict.fromkeys(n.op for n in weighted_nodes(part, cluster)))
                if not ops or cluster.broken_by:
                    continue
                apart = [op for op in apart if op not in ops]
                yield from self._judge(plan, part, ops, cluster.params, cluster.zeros)
            # Without a cluster that holds together, the weights are judged as the one cluster that they should be.
            weights = weights_of(plan, apart)
            yield from self._judge(plan, part, apart, weights.elements, weights.zeros)

    def _judge(self, plan: Plan, part: PartitionPlan, ops: list[int], params: int, zeros: int) -> Iterable[Finding]:
        weights = weights_of(plan, ops)
        if not ops or 3 * zeros > 2 * params or not (weights.are_pruned or part.subgraph.sparse_hint):
            return  # Enough zeros; or not pruned at all, and XNN303 tells what pruning would bring.
        least = min(ops, key=lambda op: weights.by_op[op][1] / max(weights.by_op[op][0], 1))
        name = plan.graph.operators[least].name
        count = f"the {len(ops)} 1x1 convolutions have" if len(ops) > 1 else "this 1x1 convolution has"
        yield self.finding(
            f"{count} too few zeros together; {name} has the smallest share",
            required="more than 66.7% zeros over the cluster",
            actual=f"{percent(zeros / params)} ({zeros} of {params} weights)",
            location=locate(plan, least),
            fix=f"prune {params * 2 // 3 + 1 - zeros} more of these weights; a final sparsity of 0.75 to 0.8 is usual",
            waivers=[("pruned", op) for op in ops],
        )
