"""XNN303: a model that is not pruned yet."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule
from xnnlint.model.unwrapped import wrapped_operators
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan, pointwise_ops
from xnnlint.xnnpack.waiver import ENCODED, Waiver, WaiverKind

from ._pruning import PRUNED_SHARE, THRESHOLD, counted_ops, others_pruned, percent, weights_of
from ._pytorch import PRUNED


class NotPruned(Rule):
    """The model's 1x1 convolutions have hardly any zeros.

    ## What it does
    Finds models in which fewer than $pruned of the weights of all 1x1 convolutions are zero, and no weight is stored
    sparse, and says what pruning would bring. It is a note: a dense model is not a mistake.

    ## Why it matters
    Sparse mode needs more than $threshold zeros, and pays from about 70% on. Check the graph first: findings of other
    rules stop the sparse path whatever is pruned.

    ## Example
    ```python
    model = keras.models.load_model("trained.keras")
    ```

    ## Use instead
    ```python
    import tensorflow_model_optimization as tfmot

    policy = tfmot.sparsity.keras.PruneForLatencyOnXNNPack()
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, begin_step=0, end_step=steps)
    model = tfmot.sparsity.keras.prune_low_magnitude(model, schedule, pruning_policy=policy)
    # train, then
    model = tfmot.sparsity.keras.strip_pruning(model)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    ```

    ## Fix safety
    Unsafe: pruning changes the weights and needs training.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`: the two-thirds test (54b2d54b, 2020-12)
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack.allow_pruning`
    """

    code = "XNN303"
    name = "not-pruned"
    condition = Condition.PRUNED
    severity = Severity.NOTE
    terms = PRUNED
    summary = "the model is not pruned; says what pruning would unlock"
    limits = {"pruned": f"{PRUNED_SHARE:.0%}", "threshold": THRESHOLD}

    def check(self, plan: Plan) -> Iterable[Finding]:
        ops = pointwise_ops(plan.graph)
        if not ops or any(part.subgraph.sparse_hint for part in plan.partitions):
            return
        weights = weights_of(plan, ops)
        if weights.are_pruned or wrapped_operators(plan.graph):
            return
        counted = sorted({*ops, *(op for part in plan.partitions for op in counted_ops(plan, part))})
        subject = f"the {len(ops)} 1x1 convolutions are" if len(ops) > 1 else "the only 1x1 convolution is"
        others = others_pruned(plan)
        only = f"; only {others.what} are, for which there is no SpMM" if others is not None else ""
        yield self.finding(
            f"{subject} not pruned",
            required=f"more than {THRESHOLD} zeros, stored in the sparse format",
            actual=f"{percent(weights.share)} zeros{only}",
            fix="prune the 1x1 convolutions to about 80% and convert with EXPERIMENTAL_SPARSITY",
            applicability=Applicability.UNSAFE,
            waivers=[ENCODED, *(Waiver(WaiverKind.PRUNED, op) for op in counted)],
        )
