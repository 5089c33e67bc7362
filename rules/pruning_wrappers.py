"""XNN306: layers that are still wrapped for pruning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.model.unwrapped import wrapped_operators
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan

_TOLD = 3


class PruningWrappers(Rule):
    """Layers are still in the wrappers that pruned them, so that their weights are variables, not constants.

    ## What it does
    Finds layers inside TFMOT's PruneLowMagnitude in Keras models, and in .tflite files the operators that such layers
    became.

    ## Why it matters
    A wrapped layer keeps its mask, and its kernel stays a variable that is read at run time. The converter then cannot
    store the zeros sparse, nor fold the batch normalization into the convolution, and XNNPACK takes no convolution
    whose filter is not a constant: the model runs dense and in pieces, more slowly than before it was pruned. A Keras
    model is read through its wrappers, and forecast as it will be without them. What a .tflite file will do without
    them is planned, too: other findings are about that model, and what the wrappers themselves bring about is not
    listed.

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
    `xnnlint convert` strips the wrappers itself, and `xnnlint fix` those in a .keras or .h5 file.

    ## Fix safety
    Safe: the weights are masked already, and the outputs stay the same. `xnnlint fix` makes sure of that, and leaves
    files alone in which the masks were not applied yet, and models that are still to be pruned.

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
                "exported with its pruning wrappers the model runs dense; the forecast is for the model without them",
                required="no PruneLowMagnitude wrappers in what is exported",
                actual=f"wrapped: {_listed(model.wrapped)}",
                fix="call tfmot.sparsity.keras.strip_pruning before exporting",
                applicability=Applicability.SAFE,
            )
        ops = wrapped_operators(plan.graph)
        if ops and not model.wrapped:
            yield self.finding(
                "the model was converted with its pruning wrappers, so that weights are computed at run time",
                required="constant weights",
                actual=f"computed: {_listed([op.name for op in ops])}",
                location=locate(plan, ops[0].index),
                fix="call tfmot.sparsity.keras.strip_pruning, and convert again with EXPERIMENTAL_SPARSITY",
                applicability=Applicability.SAFE,
            )


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _TOLD
    return ", ".join(names[:_TOLD]) + (f" and {more} more" if more > 0 else "")
