"""XNN202: a partition in which no operator can end a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import ends, is_pooled_by_tflite, open_branches, pointwise_in
from ._pytorch import POOLED, SPREAD


class ClusterEndMissing(Rule):
    """No operator turns NCHW back into NHWC, so the runtime never considers NCHW.

    ## What it does
    Looks for a MEAN or SUM over a 4-D value, or a DEPTH_TO_SPACE, in each part of the graph that XNNPACK takes as a
    whole. One finding for each map that leaves a part which has 1x1 convolutions and no such operator.

    ## Why it matters
    Such an operator is what switches sparse mode on. Without one everything stays dense: a network that ends in a
    Flatten, a MaxPooling2D over the whole map, an AveragePooling2D, or a map. The outputs are correct.

    ## Example
    ```python
    x = layers.AveragePooling2D(7)(x)
    x = layers.Flatten()(x)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    ```
    A model whose output is a map ends with `tf.nn.depth_to_space(x, 2)` on four times the channels:
    `xnnlint explain segmentation-head`, and `detection-heads`.

    ## Fix safety
    Unsafe, unless the pooling took the whole map before, too.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: it returns early if no NCHW-to-NHWC node could be
      linked (a117ce74, 2020-10-05)
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._end_layer_stop_fn`
    """

    code = "XNN202"
    name = "cluster-end-missing"
    condition = Condition.CLUSTER_END
    of_whole_graph = True
    terms = {**POOLED, **SPREAD}
    summary = "without a pooling over H and W, or DEPTH_TO_SPACE, nothing switches the sparse mode on"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            branches = [b for b in open_branches(part) if not is_pooled_by_tflite(plan, b.value)]
            if ends(part) or not branches or not pointwise_in(plan, part):
                continue
            whole = len(plan.partitions) == 1
            where = "the graph" if whole else "this part of the graph"
            # Each branch is a change of its own: an end at one alone switches the sparse mode on for all of them.
            for branch in branches:
                yield self.finding(
                    f"nothing in {where} ends a sparse cluster, so XNNPACK does not look for one",
                    required="MEAN or SUM over H and W, or DEPTH_TO_SPACE, on every way to an output",
                    actual="none behind it",
                    location=locate(plan, branch.node.op),
                    fix="end the branch with GlobalAveragePooling2D(keepdims=True) and a Reshape or Flatten, or with "
                    "tf.nn.depth_to_space",
                    applicability=Applicability.UNSAFE,
                    waivers=[Waiver(WaiverKind.EXIT, branch.tensor)],
                )
