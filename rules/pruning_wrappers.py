"""XNN306: layers that are still wrapped for pruning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.linter.findings import Applicability, Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.graph import Operator
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan

# What PruneLowMagnitude puts in front of a layer's name.
PREFIX = "prune_low_magnitude"
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_UNPACKING = ("DENSIFY", "DEQUANTIZE")
_TOLD = 3


class PruningWrappers(Rule):
    """Layers are still in the wrappers that pruned them, so that their weights are variables and no constants.

    ## What it does
    Finds layers inside TFMOT's PruneLowMagnitude in Keras models, and in .tflite files the operators that such layers
    became.

    ## Why it matters
    A wrapped layer keeps its mask, and its kernel stays a variable that is read at run time. The converter then cannot
    store the zeros sparse, nor fold the batch normalization into the convolution, and XNNPACK takes no convolution
    whose filter is not a constant: the model runs dense and in pieces, more slowly than before it was pruned. A Keras
    model is read through its wrappers, and forecast as it will be without them.

    ## Example
    ```python
    pruned = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_policy=policy)
    pruned.fit(images, labels, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    converter = tf.lite.TFLiteConverter.from_keras_model(pruned)
    ```

    ## Use instead
    ```python
    pruned = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_policy=policy)
    pruned.fit(images, labels, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    converter = tf.lite.TFLiteConverter.from_keras_model(tfmot.sparsity.keras.strip_pruning(pruned))
    ```
    `xnnlint convert` strips the wrappers itself.

    ## Fix safety
    Safe: the weights are masked already, and the outputs stay the same.

    ## References
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/prune.py, `strip_pruning`
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `CheckTensorStaticAllocation`: filters must
      be constants
    """

    code = "XNN306"
    name = "pruning-wrappers-left"
    condition = Condition.WRAPPERS_STRIPPED
    summary = "weights of layers that are still wrapped for pruning are variables, which are never stored sparse"

    def check(self, plan: Plan) -> Iterable[Finding]:
        model = plan.model
        if model.wrapped:
            yield self.finding(
                "layers are saved inside of their pruning wrappers; the forecast is for the model without them",
                severity=Severity.WARNING,
                required="no PruneLowMagnitude wrappers in what is exported",
                actual=f"wrapped: {_listed(model.wrapped)}",
                fix="call tfmot.sparsity.keras.strip_pruning before exporting",
                applicability=Applicability.SAFE,
            )
        ops = wrapped_operators(plan)
        if ops and not model.wrapped:
            yield self.finding(
                "the model was converted with its pruning wrappers, so that weights are computed at run time",
                required="constant weights",
                actual=f"computed: {_listed([op.name for op in ops])}",
                location=locate(plan, ops[0].index),
                fix="call tfmot.sparsity.keras.strip_pruning and convert again",
                applicability=Applicability.SAFE,
            )


def wrapped_operators(plan: Plan) -> list[Operator]:
    """The operators of wrapped layers, whose weights other operators compute."""
    return [op for op in plan.graph.operators if op.type in _WEIGHTED and PREFIX in op.name and _is_computed(plan, op)]


def _is_computed(plan: Plan, op: Operator) -> bool:
    weights = plan.graph.input_tensor(op, 1)
    producer = None if weights is None else plan.graph.producer(weights.index)
    return producer is not None and producer.type not in _UNPACKING


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")
