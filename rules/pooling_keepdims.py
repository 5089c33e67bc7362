"""XNN601: keepdims of the pooling that ends a cluster, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Operator
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.reduce_input import RANK, SPATIAL
from xnnlint.xnnpack.delegate.rejection import Objection
from xnnlint.xnnpack.ir import REDUCTIONS, Node, NodeType
from xnnlint.xnnpack.plan import Outcome, PartitionPlan, Plan, pointwise_ops
from xnnlint.xnnpack.profile import Profile
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import leads_to_map, meets_map
from ._cause import SQUEEZE_FIX, CauseKind
from ._causes import broken_by
from ._layout_causes import flatten_fix
from ._pytorch import POOLED
from ._text import listed, named

# SHAPE: the target of a reshape is computed from it; where that goes wrong, the plan has a failure of its own.
RECOVERING = ("RESHAPE", "SHAPE")
ALWAYS_RIGHT = "GlobalAveragePooling2D(keepdims=True), then Flatten or Reshape"
KEPT = "keepdims=True, followed by a reshape"


class PoolingKeepdims(Rule):
    """The pooling that ends a branch does not keep its dimensions, or keeps them and is not followed by a reshape.

    ## What it does
    Looks at every MEAN and SUM over height and width. Without keepdims: an error for a runtime that needs it, and for
    others one note, if it stands behind the last map of a branch. With keepdims: whatever reads it must be a RESHAPE, a
    FULLY_CONNECTED that flattens, or a 1x1 convolution whose own reader is part of the cluster (as in
    squeeze-and-excite blocks).

    ## Why it matters
    TensorFlow Lite around 2.4 leaves a pooling without keepdims out of XNNPACK, so that nothing ends the cluster. Since
    LiteRT 1.1 a pooling with keepdims at the end of a cluster reports the shape [N, C, 1, 1] instead of [N, 1, 1, C],
    and inside one [N, 1, 1, H]. Depending on what reads it, the model fails to load (a 1x1 convolution, a
    multiplication), computes wrong numbers (softmax, an activation, a concatenation) or reports the wrong shape. Only
    keepdims followed by a reshape is correct on every runtime.

    ## Example
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(classes, 1)(x)
    x = layers.Softmax()(x)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(classes, activation="softmax")(x)
    ```

    ## Fix safety
    Safe: a reshape changes no number, and a Dense layer takes the weights of the 1x1 convolution. Unsafe inside a
    network, where a 1x1 convolution has to come first.

    ## References
    - google/XNNPACK, src/subgraph/static-reduce.c, `reshape_reduce_operator` (813a14bf, 2024-10-07): the inverse axis
      table swaps height and width
    - google/XNNPACK, src/subgraph/fully-connected.c: wrong channels fail since a3fc80e2 (2026-07-10)
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitReduceNode`: keepdims is optional now
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._check_layer_support`, which demands
      keepdims of inner poolings and does not look at the last one
    """

    code = "XNN601"
    name = "pooling-keepdims"
    condition = Condition.POOLING_SHAPE
    severity = Severity.WARNING
    # Without keepdims the oldest runtime runs dense, with keepdims and no reshape the newer ones break.
    severity_everywhere = Severity.ERROR
    terms = POOLED
    summary = "only keepdims=True followed by a reshape is correct on every runtime"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if not pointwise_ops(plan.graph) and not plan.spmm_ops:
            return
        yield from self._refused(plan)
        broken = broken_by(plan, CauseKind.KEEP_DIMS)
        dropped = []
        for part in plan.partitions:
            for node in part.nodes:
                op = plan.graph.operators[node.op]
                if op.type not in ("MEAN", "SUM") or not _is_spatial(node, part):
                    continue
                if op.attributes.get("keep_dims"):
                    yield from self._check_node(plan, part, op, broken)
                # A SUM was never taken by the runtimes that ask for keepdims.
                elif op.type == "MEAN" and not leads_to_map(plan.graph, op.outputs[0]):
                    dropped.append(op)
        if dropped:
            yield self._elsewhere(plan, dropped)

    def _refused(self, plan: Plan) -> Iterable[Finding]:
        """MEAN operators that an old runtime does not take since they drop their dimensions."""
        for op, rejection in plan.delegation.rejected.items() if plan.delegation else ():
            operator = plan.graph.operators[op]
            if rejection.condition is Objection.KEEP_DIMS and not leads_to_map(plan.graph, operator.outputs[0]):
                yield self.finding(
                    "this runtime leaves a pooling without keepdims out of XNNPACK, and nothing ends the sparse "
                    "cluster",
                    severity=Severity.ERROR,
                    required=KEPT,
                    actual="keepdims=False",
                    location=locate(plan, op),
                    fix=ALWAYS_RIGHT,
                    applicability=Applicability.SAFE,
                    waivers=[Waiver(WaiverKind.EXIT, operator.inputs[0])],
                )

    def _elsewhere(self, plan: Plan, dropped: Sequence[Operator]) -> Finding:
        """One note on runtimes that were not asked for, however many poolings there are."""
        here = "" if len(dropped) == 1 else f", as here and at {len(dropped) - 1} more"
        return self.finding(
            f"old runtimes (TensorFlow Lite around 2.4) leave a pooling without keepdims{here} out of XNNPACK, and "
            "would run the model dense",
            severity=Severity.NOTE,
            required=KEPT,
            actual="keepdims=False",
            location=locate(plan, dropped[0].index),
            fix=ALWAYS_RIGHT,
            applicability=Applicability.SAFE,
        )

    def _check_node(self, plan: Plan, part: PartitionPlan, op: Operator, broken: set[int]) -> Iterable[Finding]:
        """A pooling with keepdims."""
        tensor = op.outputs[0]
        readers = plan.graph.consumers(tensor)
        others = [r for r in readers if not recovers(r, plan.profile) and not feeds_cluster(part, r)]
        if not others and tensor not in plan.graph.outputs:
            return
        used = [listed([named(plan.graph, r.index) for r in others])] if others else []
        used += ["an output of the model"] if tensor in plan.graph.outputs else []
        # Behind a RESHAPE it would come from outside the cluster, and none of what it meets could be part of that.
        inner = meets_map(plan.graph, tensor)
        waiver = Waiver(WaiverKind.COMPATIBLE, op.index) if inner else Waiver(WaiverKind.RESHAPE, tensor)
        is_broken, is_right = op.index in broken, plan.outcome is Outcome.SPARSE
        consequence = "breaks the model here" if is_broken else "breaks the model on some runtimes"
        if not is_broken and not is_right:
            consequence += ", once it runs sparse"
        yield self.finding(
            f"keepdims that is not followed by a reshape {consequence}: the runtime gets the pooled shape wrong",
            severity=Severity.ERROR if is_broken else Severity.NOTE if is_right else Severity.WARNING,
            required="a RESHAPE as its only reader",
            actual=" and ".join(used),
            location=locate(plan, op.index),
            fix=SQUEEZE_FIX if inner else flatten_fix(plan.graph, op, "it"),
            applicability=Applicability.UNSAFE if inner else Applicability.SAFE,
            waivers=[waiver],
        )


_POOLINGS = (*REDUCTIONS, NodeType.GLOBAL_AVERAGE_POOLING_2D)


def _is_spatial(node: Node, part: PartitionPlan) -> bool:
    if node.type not in _POOLINGS or part.subgraph.values[node.inputs[0]].rank != RANK:
        return False
    return node.type == NodeType.GLOBAL_AVERAGE_POOLING_2D or tuple(sorted(node.params["axes"])) == SPATIAL


def feeds_cluster(part: PartitionPlan, op: Operator) -> bool:
    """Whether an operator is a 1x1 convolution whose own readers can run in NCHW, as in squeeze-and-excite blocks."""
    nodes = [part.nodes[n] for n in part.nodes_of.get(op.index, ())]
    outputs = [v for node in nodes if node.type == NodeType.FULLY_CONNECTED for v in node.outputs]
    if not outputs or any(part.subgraph.values[v].external_output for v in outputs):
        return False
    readers = [n for v in outputs for n in part.readers.get(v, ())]
    return bool(readers) and all(part.decision.verdicts[n].layout for n in readers)


def recovers(op: Operator, profile: Profile) -> bool:
    """Whether an operator takes only the elements of its input, whatever the shape, and is outside of the cluster."""
    if op.type == "FULLY_CONNECTED" and not op.attributes.get("keep_num_dims"):
        return profile["fully_connected_explicit_reshape"] or not profile["fully_connected_in_cluster"]
    return op.type in RECOVERING
