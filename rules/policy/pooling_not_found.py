"""XNP102: the end that the pruning policy looks for before every output."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.keras.policy.verdicts import Stage
from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.policy_check import PolicyCase, PolicyRule, locate_layer, runtime_view
from xnnlint.xnnpack.conditions.condition import Condition


class PoolingNotFound(PolicyRule):
    """An output of the model does not come from a GlobalAveragePooling2D, which TFMOT's pruning policy looks for.

    ## What it does
    Follows every output of the Keras model backwards, as `PruneForLatencyOnXNNPack` does, until it meets a
    `GlobalAveragePooling2D`, with or without keepdims. An output that some input reaches without one is named, with
    what stands in its place. A pooling inside of a nested model does not count.

    ## Why it matters
    `prune_low_magnitude(model, pruning_policy=PruneForLatencyOnXNNPack())` raises "Could not find a
    `GlobalAveragePooling2D` layer in all output branches" without naming an output. The runtime is less strict (other
    ends of a cluster are a sum, and a depth-to-space) and stricter (keepdims before anything but a reshape breaks it;
    see XNN601). Until 2021-06-23 the policy demanded keepdims=True of this pooling, too; the error that TensorFlow's
    guide shows for it is no longer raised.

    ## Example
    ```python
    x = layers.Flatten()(x)
    x = layers.Dense(classes, activation="softmax")(x)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(classes, activation="softmax")(x)
    ```

    ## Fix safety
    Unsafe: a pooled map is another input for what follows. Train again.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._end_layer_stop_fn` (6fbc2ce; keepdims until 33a3718, 2021-06-23)
    """

    code = "XNP102"
    name = "policy-pooling-not-found"
    condition = Condition.POLICY_END
    summary = "the pruning policy wants a GlobalAveragePooling2D before every output"

    def check_policy(self, case: PolicyCase) -> Iterable[Finding]:
        for refusal in case.verdict.refusals:
            if refusal.stage is Stage.END:
                runtime = runtime_view(refusal, case.plan).text
                yield self.finding(
                    f"TFMOT's pruning policy finds no pooling before this output; the runtime {runtime}",
                    required=refusal.required,
                    actual=refusal.actual,
                    location=locate_layer(refusal, case.plan),
                    fix="end the branch with GlobalAveragePooling2D(keepdims=True) and Flatten",
                    applicability=Applicability.UNSAFE,
                )
