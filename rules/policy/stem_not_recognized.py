"""XNP101: the start that the pruning policy looks for behind every input."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.keras.policy.verdicts import Stage
from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.policy_check import PolicyCase, PolicyRule, locate_layer, runtime_view
from xnnlint.xnnpack.conditions.condition import Condition


class StemNotRecognized(PolicyRule):
    """An input reaches an output without the stem that TFMOT's pruning policy looks for.

    ## What it does
    Follows every input of the Keras model forwards, as `PruneForLatencyOnXNNPack` does, until it meets a
    `ZeroPadding2D(1)` and a 3x3 `Conv2D` over 3 channels with strides 2 and `padding="valid"`. Where one way ends
    without, the first convolution on it is named, with everything that keeps it from being the stem.

    ## Why it matters
    `prune_low_magnitude(model, pruning_policy=PruneForLatencyOnXNNPack())` raises "Could not find `Conv2D 3x3` layer
    with stride 2x2 ..." without naming a layer, and nothing is pruned. The policy looks no further: what else it would
    refuse comes out only after this is changed.

    ## Example
    ```python
    x = layers.Conv2D(32, 3, strides=2, padding="same")(inputs)
    ```

    ## Use instead
    ```python
    x = layers.ZeroPadding2D(1)(inputs)
    x = layers.Conv2D(32, 3, strides=2, padding="valid")(x)
    ```

    ## Fix safety
    Unsafe: explicit padding is symmetric, "same" pads an even-sized image at the bottom and right only. Train again.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._start_layer_stop_fn` (6fbc2ce)
    """

    code = "XNP101"
    name = "policy-stem-not-recognized"
    condition = Condition.POLICY_START
    summary = "the pruning policy wants ZeroPadding2D(1) and a valid 3x3 stride-2 Conv2D behind every input"

    def check_policy(self, case: PolicyCase) -> Iterable[Finding]:
        for refusal in case.verdict.refusals:
            if refusal.stage is Stage.START:
                runtime = runtime_view(refusal, case.plan).text
                yield self.finding(
                    f"TFMOT's pruning policy finds no stem here; the runtime {runtime}",
                    required=refusal.required,
                    actual=refusal.actual,
                    location=locate_layer(refusal, case.plan),
                    fix="ZeroPadding2D(1), then Conv2D(filters, 3, strides=2, padding='valid')",
                    applicability=Applicability.UNSAFE,
                )
