"""XNN201: an output of the model that no pooling separates from the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._branches import ends, is_pooled_by_tflite, is_read_inside, open_branches
from ._pytorch import POOLED, SPREAD
from ._text import dims, named, where_used

REQUIRED = "MEAN or SUM over H and W, or DEPTH_TO_SPACE, between here and the output"
FIX = (
    "end the branch with GlobalAveragePooling2D(keepdims=True) and a Reshape or Flatten, or with "
    "tf.nn.depth_to_space for a map-shaped output"
)


class OutputBranchWithoutPooling(Rule):
    """An output is reached from the cluster without a pooling over height and width and without DEPTH_TO_SPACE.

    ## What it does
    Follows every output of the model (and every value that TFLite reads, where XNNPACK does not take all operators)
    upwards, and reports the last operator that could run sparse if no cluster end is on the way. The kind of pooling is
    checked by XNN601 and XNN602.

    ## Why it matters
    One branch with a proper end switches the whole cluster to NCHW, other branches included. On a branch without an end
    the last operator then reads NCHW data as NHWC: wrong numbers, no error (XNN901). With luck the model stays dense.

    ## Example
    ```python
    outputs = [layers.Dense(10)(layers.GlobalAveragePooling2D()(x)), layers.Conv2D(21, 1)(x)]
    ```

    ## Use instead
    ```python
    heatmap = tf.nn.depth_to_space(layers.Conv2D(21 * 4, 1)(x), 2)
    outputs = [layers.Dense(10)(layers.GlobalAveragePooling2D()(x)), heatmap]
    ```
    `xnnlint explain recipes` has ways to write the heads of segmentation, detection and pose models.

    ## Fix safety
    Unsafe: the branch computes something else and needs training.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: nothing looks at values that leave a cluster
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._end_layer_stop_fn`, which demands a
      GlobalAveragePooling2D in front of every output
    """

    code = "XNN201"
    name = "output-branch-without-pooling"
    condition = Condition.BRANCH_END
    of_whole_graph = True
    terms = {**POOLED, **SPREAD}
    summary = "every output must be reached through a pooling over H and W, or through DEPTH_TO_SPACE"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            if not ends(part):
                continue  # XNN202 tells that nothing ends the cluster at all.
            for branch in open_branches(part):
                assert branch.value.tensor is not None
                if is_read_inside(part, branch.value) or is_pooled_by_tflite(plan, branch.value):
                    continue  # XNN204 and XNN601 tell more of it.
                if branch.reader is not None:
                    use = f"read by {named(plan.graph, branch.reader.op)}"
                else:
                    use = where_used(plan.graph, branch.value.tensor)
                yield self.finding(
                    "its output leaves the cluster as a map on the way to an output",
                    required=REQUIRED,
                    actual=f"a map of shape {dims(branch.value.shape)}, {use}",
                    location=locate(plan, branch.node.op),
                    fix=FIX,
                    applicability=Applicability.UNSAFE,
                    waivers=[Waiver(WaiverKind.EXIT, branch.value.tensor)],
                )
