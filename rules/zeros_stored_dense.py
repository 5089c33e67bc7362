"""XNN302: pruned weights that are stored like dense ones."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.converter_storage import MIN_ZERO_SHARE
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.waiver import ENCODED

from ._pruning import percent, weights_of
from ._pytorch import STORED


class ZerosStoredDense(Rule):
    """The weights have zeros, but none is stored in the sparse format, so the runtime never looks for zeros.

    ## What it does
    Finds parts of the graph in which the weights of 1x1 convolutions have zeros and no operator reads a weight that
    comes out of a DENSIFY.

    ## Why it matters
    A weight that was stored sparse is what tells the runtime to count zeros at all; one in the same part of the graph
    is enough. Without it the model runs dense, however many zeros there are.

    ## Example
    ```python
    converter = tf.lite.TFLiteConverter.from_keras_model(tfmot.sparsity.keras.strip_pruning(model))
    data = converter.convert()
    ```

    ## Use instead
    ```python
    converter = tf.lite.TFLiteConverter.from_keras_model(tfmot.sparsity.keras.strip_pruning(model))
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    data = converter.convert()
    ```
    The converter stores a weight sparse only from $encoded zeros on.

    ## Fix safety
    Safe by itself: the same numbers. If the graph has other findings, solve them first: stored sparse, the model may
    compute wrong results (XNN901) where it was only dense before.

    ## References
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::Create`: has_sparse_weights sets
      XNN_FLAG_HINT_SPARSE_INFERENCE for each partition
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_optimize`: the flag (7332e83e, 2020-12-06)
    - google-ai-edge/LiteRT, tflite/converter/transforms/dense_to_sparse_pass.cc, `kMinSparsityLevel`
    """

    code = "XNN302"
    name = "zeros-stored-dense"
    condition = Condition.STORED_SPARSE
    terms = STORED
    summary = "only weights stored in the sparse format (behind DENSIFY) make the runtime look for zeros"
    limits = {"encoded": f"{MIN_ZERO_SHARE:.0%}"}

    def check(self, plan: Plan) -> Iterable[Finding]:
        for part in plan.partitions:
            inside = set(part.partition.ops)
            ops = [op for op in pointwise_ops(plan.graph) if op in inside]
            if part.subgraph.sparse_hint or not ops:
                continue
            weights = weights_of(plan, ops)
            if not weights.are_pruned:
                continue
            subject = f"{len(ops)} 1x1 convolutions" if len(ops) > 1 else "a 1x1 convolution"
            largest = max(zeros / max(elements, 1) for elements, zeros in weights.by_op.values())
            yield self.finding(
                f"the weights of {subject} have zeros, and none of them is stored in the sparse format",
                required="a weight in the sparse format (DENSIFY) in the same part of the graph",
                actual=f"{percent(weights.share)} zeros, all stored dense",
                location=locate(plan, ops[0]),
                fix="convert with converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]"
                + (f", once more than {MIN_ZERO_SHARE:.0%} of a weight is zero" if largest < MIN_ZERO_SHARE else ""),
                applicability=Applicability.SAFE,
                waivers=[ENCODED],
            )
