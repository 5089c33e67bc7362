"""XNN301: a cluster whose weights do not have enough zeros."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.weights import measure
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import DENOMINATOR, NUMERATOR, passes_zeros_test
from xnnlint.xnnpack.plan import PartitionPlan, Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import leads_to_map
from ._pruning import (
    THRESHOLD,
    Weights,
    counted_ops,
    lacking,
    others_pruned,
    pattern_of,
    percent,
    weighted_nodes,
    weights_of,
)
from ._pytorch import POOLED
from ._text import named


class ZerosAtOrBelowTwoThirds(Rule):
    """The 1x1 weights of a cluster are pruned, but not more than two thirds of them are zero.

    ## What it does
    Counts the zeros (0 and -0) of the 1x1 convolutions and fully-connected operators of each cluster together, as the
    runtime does, and reports a cluster with $threshold zeros or fewer. Where operators of other findings stop the
    cluster, those of one part of the graph are counted together.

    ## Why it matters
    The test is strict and is for the whole cluster: exactly two thirds is not enough, one dense layer among pruned ones
    may do no harm, and one large dense classifier behind a pooling with keepdims may spoil it. Below the threshold all
    of the cluster runs dense, although the weights are stored sparse from 30% zeros on: the file is smaller, and
    nothing is faster.

    ## Example
    ```python
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0)
    ```

    ## Use instead
    ```python
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, begin_step=0, end_step=steps)
    ```
    Or take an unpruned classifier out of the count: a Flatten between the pooling and a Dense layer does it.

    ## Fix safety
    Unsafe: pruning more changes the weights and needs training.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: num_nonzeroes and num_params of each cluster
      leader (54b2d54b, 2020-12); zeros of float16 weights are counted right since 032f1dc9 (2024-12-13)
    - google-ai-edge/LiteRT, tflite/converter/transforms/dense_to_sparse_pass.cc, `kMinSparsityLevel`
    """

    code = "XNN301"
    name = "zeros-at-or-below-two-thirds"
    condition = Condition.ENOUGH_ZEROS
    terms = POOLED
    summary = (
        f"strictly more than {NUMERATOR}/{DENOMINATOR} of a cluster's 1x1 weights must be zero, counted over all of it"
    )
    limits = {"threshold": THRESHOLD}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            held: set[int] = set()
            for cluster in part.decision.clusters if part.decision.armed else ():
                ops = list(dict.fromkeys(n.op for n in weighted_nodes(part, cluster)))
                if not ops or cluster.broken_by:
                    continue
                held.update(ops)
                yield from self._judge(plan, part, ops, cluster.params, cluster.zeros)
            # Without a cluster that holds together, the weights are judged as the one cluster that they should be.
            apart = [op for op in counted_ops(plan, part) if op not in held]
            weights = weights_of(plan, apart)
            yield from self._judge(plan, part, apart, weights.elements, weights.zeros)

    def _judge(self, plan: Plan, part: PartitionPlan, ops: list[int], params: int, zeros: int) -> Iterable[Finding]:
        weights = weights_of(plan, ops)
        if not params or passes_zeros_test(zeros, params) or not (weights.are_pruned or part.subgraph.sparse_hint):
            return  # Enough zeros; or not pruned at all, and XNN303 tells what pruning would bring.
        least = min(ops, key=lambda op: weights.by_op[op][1] / max(weights.by_op[op][0], 1))
        others = None if weights.are_pruned else others_pruned(plan)
        message = _too_few(plan, ops, least, weights) + (_STORED if _all_stored_sparse(plan, ops) else "")
        elsewhere = ""
        if others is not None:
            share = percent(others.zeros / others.elements)
            elsewhere = f"; only {others.what} are pruned ({share} zeros), for which there is no SpMM"
        pattern = pattern_of(plan, ops) if weights.are_pruned else None
        if pattern is not None:
            n, m = pattern
            fix = f"prune without a pattern, to 0.75 to 0.8: {n} of every {m} weights are zero, which never passes 2/3"
        elif others is not None:
            fix = "prune the 1x1 convolutions to 0.75 to 0.8"
        else:
            fix = f"prune {lacking(zeros, params)} more of these weights; a final sparsity of 0.75 to 0.8 is usual"
        yield self.finding(
            message,
            required=f"more than {NUMERATOR}/{DENOMINATOR} ({THRESHOLD}) zeros over the cluster",
            actual=f"{percent(zeros / params)} ({zeros} of {params} weights){elsewhere}",
            location=locate(plan, least),
            fix=fix + _other_way(plan, weights),
            applicability=Applicability.UNSAFE,
            waivers=[Waiver(WaiverKind.PRUNED, op) for op in ops],
        )


_STORED = "; they are stored sparse and run dense all the same"


def _too_few(plan: Plan, ops: list[int], least: int, weights: Weights) -> str:
    params, zeros = weights.elements, weights.zeros
    enough = f"more than {THRESHOLD} must be"
    if len(ops) == 1:
        return f"only {percent(zeros / max(params, 1))} of its weights are zero; {enough}"
    share = percent(weights.by_op[least][1] / max(weights.by_op[least][0], 1))
    return (
        f"only {percent(zeros / max(params, 1))} of the cluster's 1x1 weights are zero; {enough} "
        f"({named(plan.graph, least)} has the fewest, {share})"
    )


def _all_stored_sparse(plan: Plan, ops: list[int]) -> bool:
    found = [measure(plan.graph, plan.graph.operators[op].inputs[1]) for op in ops]
    return all(measured is not None and measured.storage == "sparse" for measured in found)


def _other_way(plan: Plan, weights: Weights) -> str:
    """Where it would be enough not to count the classifier."""
    heads = [op for op in weights.by_op if _is_head(plan, op)]
    rest = Weights({op: counted for op, counted in weights.by_op.items() if op not in heads})
    if not heads or not rest.by_op or not passes_zeros_test(rest.zeros, rest.elements):
        return ""
    return f"; or put a Flatten or Reshape in front of {named(plan.graph, heads[0])}, so that it does not count"


def _is_head(plan: Plan, op: int) -> bool:
    """Whether an operator works on a pooled value, behind the last map."""
    source = plan.graph.tensors[plan.graph.operators[op].inputs[0]]
    pixels = source.shape[1] * source.shape[2] if source.rank == 4 else 1
    return pixels == 1 and not leads_to_map(plan.graph, source.index)
