"""XNN403: layers of a Keras model of which nobody can tell what the converter makes."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan


class LayerOfUnknownEffect(Rule):
    """What the converter makes of a layer cannot be told from the file, so the forecast is of low confidence.

    ## What it does
    Names the layers of a Keras model whose operators are not known here: custom layers, `Lambda` and other layers that
    carry code, which is never read or run, and uses of Keras' own layers that are not known here.

    ## Why it matters
    Such a layer may become operators that XNNPACK runs inside of the sparse cluster, or one that splits the graph; it
    may even end the cluster. Nothing is guessed: the forecast takes it for an operator that XNNPACK refuses, and what
    other findings say of where a cluster begins and ends may change with it. Conditions on other layers hold all the
    same.

    ## Example
    ```python
    x = tf.keras.layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(x)
    ```

    ## Use instead
    ```python
    x = tf.nn.depth_to_space(x, 2)
    ```
    A function of TensorFlow called on Keras tensors, or of keras.ops, is stored by its name. Where that is not
    possible, convert the model and check the .tflite file.

    ## Fix safety
    Safe: calling the same function without a Lambda computes the same.

    ## References
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `Subgraph::VisitNode`: which operators of
      the converted model are taken
    """

    code = "XNN403"
    name = "layer-of-unknown-effect"
    condition = Condition.KNOWN_LAYER
    severity = Severity.WARNING
    summary = "what becomes of custom layers and Lambdas cannot be told before the model is converted"

    def check(self, plan: Plan) -> Iterable[Finding]:
        for op in plan.graph.operators:
            why = plan.model.unknown.get(op.name) if op.type == "CUSTOM" else None
            if why is not None:
                yield self.finding(
                    "what the converter makes of this layer is not known here; the forecast is of low confidence",
                    required="a layer whose operators are known",
                    actual=why,
                    location=locate(plan, op.index),
                    fix="convert the model and check the .tflite file",
                )
