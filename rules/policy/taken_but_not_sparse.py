"""XNP104: what the pruning policy takes and the runtime does not run sparse."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.policy_check import PolicyCase, PolicyRule
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.layout import passes_zeros_test
from xnnlint.xnnpack.plan import Outcome, Plan


class TakenButNotSparse(PolicyRule):
    """TFMOT's pruning policy takes the model, and the runtime does not run it sparse, or gets it wrong.

    ## What it does
    Compares the verdict of `PruneForLatencyOnXNNPack` on the whole model with the forecast for the runtime. A model
    that is not pruned yet is left alone, unless the runtime would break it as it is.

    ## Why it matters
    The policy was written for the XNNPACK of 2021. It does not look behind the last pooling, does not know which
    constants corrupt a cluster, and prunes 1x1 convolutions behind the pooling, too: a classifier made of one after
    `GlobalAveragePooling2D(keepdims=True)` does not load in LiteRT 2.2 and later. Weeks of fine-tuning then end in a
    model that runs dense, gives wrong results, or fails.

    ## Example
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Softmax()(layers.Conv2D(classes, 1)(x))
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dense(classes, activation="softmax")(layers.Flatten()(x))
    ```

    ## Fix safety
    The findings of the other rules say what to change and whether that is safe.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack.ensure_model_supports_pruning` (6fbc2ce)
    """

    code = "XNP104"
    name = "policy-takes-what-runs-otherwise"
    condition = Condition.POLICY_AGREES
    severity = Severity.WARNING
    summary = "the pruning policy takes a model that the runtime runs dense, gets wrong or refuses"

    def check_policy(self, case: PolicyCase) -> Iterable[Finding]:
        plan = case.plan
        if plan is None or not case.verdict.takes or plan.outcome is Outcome.SPARSE:
            return
        if plan.outcome is Outcome.DENSE and not _is_pruned(plan):
            return
        words = {
            Outcome.DENSE: "runs it dense",
            Outcome.WRONG_RESULTS: "gives wrong results",
            Outcome.FAILS: "does not run it",
        }
        yield self.finding(
            f"TFMOT's pruning policy takes this model; {plan.profile.runtime} {words[plan.outcome]}",
            required="a model that runs sparse with correct outputs",
            actual=plan.outcome.value,
        )


def _is_pruned(plan: Plan) -> bool:
    summary = plan.summary
    return summary is not None and passes_zeros_test(summary.pointwise_zeros, summary.pointwise_params)
