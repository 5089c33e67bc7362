"""XNN602: a pooling over other axes than height and width, in a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Graph, Operator
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.conditions.reduce_input import RANK, SPATIAL
from xnnlint.xnnpack.execution import absent_axis, reduce_in_nchw
from xnnlint.xnnpack.ir import REDUCTIONS, Layout, Node, Value
from xnnlint.xnnpack.plan import Outcome, PartitionPlan, Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import capable, has_pixels, meets_map
from ._cause import AXES_FIX, SQUEEZE_FIX
from ._pytorch import POOLED
from ._text import dims, type_of

# Seen right in every run: the batch is 1 in practice, and averaging over it changes nothing.
RIGHT = (SPATIAL, (0, *SPATIAL))


_ENDS = ("MEAN", "SUM", "DEPTH_TO_SPACE")


class PoolingAxes(Rule):
    """A MEAN or SUM in a sparse cluster reduces other axes than height and width.

    ## What it does
    Looks at the axes of every MEAN and SUM on a 4-D value that a cluster computes, or would compute. Only
    $right are correct.

    ## Why it matters
    The runtime takes such a pooling for a proper end of the cluster, but confuses its axes on the way to NCHW: it
    reduces other axes than the model says, or writes past the end of its buffer. The numbers are wrong, or the program
    crashes. An average over the channels (axis 3) has the correct numbers and the wrong shape, height and width
    swapped; an average over everything but the batch has crashed on ARM.

    ## Example
    ```python
    x = tf.reduce_mean(x, axis=1)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    ```

    ## Fix safety
    Unsafe: another pooling computes something else and needs fine-tuning.

    ## References
    - google/XNNPACK, src/subgraph/static-reduce.c, `rewrite_reduction_axes_for_nchw` and NCHW_AXES_MAPPING (813a14bf,
      2024-10-07): the loop that maps the axes starts at the first one only
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: the axes are not looked at
    """

    code = "XNN602"
    name = "pooling-over-other-axes"
    condition = Condition.POOLING_AXES
    terms = POOLED
    summary = f"a MEAN or SUM in a cluster must pool over axes {dims(SPATIAL)}"
    limits = {"right": " and ".join(dims(axes) for axes in RIGHT)}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
                if node.type in REDUCTIONS and verdict.layout & Layout.EXIT and _is_other(part, node):
                    yield self._judge(plan, part, node)

    def _judge(self, plan: Plan, part: PartitionPlan, node: Node) -> Finding:
        source, target = (part.subgraph.values[v] for v in (node.inputs[0], node.outputs[0]))
        axes = tuple(sorted(node.params["axes"]))
        _, right = reduce_in_nchw(source.shape, node.params["axes"], node.params["keep_dims"], target.nchw)
        right = right or plan.outcome is Outcome.SPARSE  # another pooling behind it sets it right
        text = "gives correct numbers at most" if right else "comes out wrong, or crashes"
        return self.finding(
            f"XNNPACK confuses the axes of a pooling in a sparse cluster: one over {dims(axes)} {text}",
            severity=Severity.WARNING if right else Severity.ERROR,
            required=f"axes {dims(SPATIAL)}",
            actual=f"{type_of(plan.graph.operators[node.op])} over axes {dims(axes)}",
            location=locate(plan, node.op),
            fix=_fix(plan, node, target),
            applicability=Applicability.UNSAFE,
            waivers=[Waiver(WaiverKind.COMPATIBLE, node.op)],
        )


def shrinks_side(graph: Graph, op: Operator) -> bool:
    """Whether a pooling makes a map of a map, over one side of it, and another operator can end the cluster behind."""
    source, target = graph.tensors[op.inputs[0]].shape, graph.output_tensor(op).shape
    if len(target) != RANK or not has_pixels(graph, op.outputs[0]) or target[3:] != source[3:]:
        return False
    return any(reader.type in _ENDS for reader in graph.downstream(op.outputs[0]))


def _fix(plan: Plan, node: Node, target: Value) -> str:
    if len(node.params["axes"]) == 1 and shrinks_side(plan.graph, plan.graph.operators[node.op]):
        size = " x ".join(map(str, target.shape[1:3]))
        return f"resize the map to {size} instead, bilinearly, or shrink it by depthwise convolutions with strides"
    return AXES_FIX + (f"; and {SQUEEZE_FIX}" if _is_broadcast(plan, node) else "")


def _is_broadcast(plan: Plan, node: Node) -> bool:
    """Whether an operator combines a pooling that keeps its dimensions with a map, and would see a wrong shape."""
    op = plan.graph.operators[node.op]
    return bool(node.params["keep_dims"]) and meets_map(plan.graph, op.outputs[0])


def _is_other(part: PartitionPlan, node: Node) -> bool:
    source = part.subgraph.values[node.inputs[0]]
    if source.rank != RANK or tuple(sorted(node.params["axes"])) in RIGHT:
        return False
    # Axes that are not there are another rule's.
    return absent_axis(node.params["axes"], source.rank) is None and capable(part, source.id)
