"""XNP103: the layers that the pruning policy supports between start and end."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.keras.policy.verdicts import Refusal, Stage
from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.policy_check import PolicyCase, PolicyRule, locate_layer, runtime_view
from xnnlint.xnnpack.conditions.condition import Condition

_UNSAFE_FIXES = {
    "UpSampling2D": "interpolation='bilinear'",
    "DepthwiseConv2D": "ZeroPadding2D(1), then a 3x3 kernel with padding='valid' (2 and 5x5 likewise)",
}
_KEEPDIMS = "GlobalAveragePooling2D(keepdims=True), and no Reshape to (1, 1, channels) after it"


class LayerNotSupported(PolicyRule):
    """A layer between the stem and the last pooling is not on the list of TFMOT's pruning policy.

    ## What it does
    Visits every layer between start and end, as `PruneForLatencyOnXNNPack` does, and names all those that it does not
    support, where the policy itself stops at the first. Each is shown with what the runtime does with it. Without a
    start or an end, where these would be is guessed from the first convolutions and the last poolings.

    ## Why it matters
    `prune_low_magnitude(model, pruning_policy=PruneForLatencyOnXNNPack())` raises "Layer Activation is not supported
    ..." with the class of a layer, not its name; with several, one of them by chance. Nothing is pruned. The list is
    not the runtime's: it takes tanh, swish and a linear Activation in the sparse cluster, for example.

    ## Example
    ```python
    x = layers.Activation("tanh")(x)
    gate = layers.Reshape((1, 1, 64))(layers.GlobalAveragePooling2D()(x))
    ```

    ## Use instead
    ```python
    x = layers.Activation("relu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    ```

    Where the runtime takes a layer that the policy refuses, prune without the policy: wrap the 1x1 convolutions in
    `prune_low_magnitude` by `clone_model` with a `clone_function`.

    ## Fix safety
    Safe for keepdims and for leaving out a linear Activation; unsafe for everything else: train again.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._check_layer_support` (6fbc2ce)
    """

    code = "XNP103"
    name = "policy-layer-not-supported"
    condition = Condition.POLICY_LAYER
    summary = "the pruning policy supports only the layers on its list between the stem and the last pooling"

    def check_policy(self, case: PolicyCase) -> Iterable[Finding]:
        for refusal in case.verdict.refusals:
            if refusal.stage is Stage.BETWEEN:
                runtime = runtime_view(refusal, case.plan).text
                title, applicability = _remedy(refusal)
                later = "" if refusal.reached else ", once it gets this far"
                yield self.finding(
                    f"TFMOT's pruning policy does not support this layer{later}; the runtime {runtime}",
                    required=refusal.required,
                    actual=refusal.actual,
                    location=locate_layer(refusal, case.plan),
                    fix=title,
                    applicability=applicability,
                )


def _remedy(refusal: Refusal) -> tuple[str, Applicability]:
    if refusal.class_name == "GlobalAveragePooling2D":
        return _KEEPDIMS, Applicability.SAFE
    if refusal.class_name == "Activation":
        if refusal.actual == "linear":
            return "leave it out: it computes nothing", Applicability.SAFE
        return "Activation('relu'), or another one on the policy's list", Applicability.UNSAFE
    return _UNSAFE_FIXES.get(refusal.class_name, ""), Applicability.UNSAFE
