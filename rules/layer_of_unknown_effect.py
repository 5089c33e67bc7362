"""XNN403: layers of a Keras model of which nobody can tell what the converter makes."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Finding, Location, Severity
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.plan import Plan

from ._text import listed

_SAY = "say what it is under [tool.xnnlint.layers], or convert the model and check the .tflite file"


class LayerOfUnknownEffect(Rule):
    """What the converter makes of a layer cannot be told from the file, so the forecast is of low confidence.

    ## What it does
    Names the layers of a Keras model whose operators are not known here: custom layers, `Lambda` and other layers that
    carry code, which is never read or run, and uses of Keras' own layers that are not known here.

    ## Why it matters
    Such a layer may become operators that XNNPACK runs inside of the sparse cluster, or one that splits the graph; it
    may even end the cluster. So the verdict is "unknown", with what it would be if such layers kept their inputs as
    they are, as those do that act in training only; a layer with weights of its own, or with several inputs, is taken
    for an operator that XNNPACK refuses. What other findings say of where a cluster begins and ends may change with
    it; conditions on other layers still hold. With --require-sparse it is an error.

    ## Example
    ```python
    x = tf.keras.layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(x)
    ```

    ## Use instead
    ```python
    x = tf.nn.depth_to_space(x, 2)
    ```
    A function of TensorFlow called on Keras tensors, or of keras.ops, is stored by its name. Where that is not
    possible, say in the configuration what the layer is, or convert the model and check the .tflite file:

    ```toml
    [layers]
    DropBlock2D = "identity"
    ```

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
        model = plan.model
        operators = {op.name: op.index for op in plan.graph.operators if op.type in ("CUSTOM", "WHILE")}
        for name, why in model.unknown.items():
            taken = "to keep its input as it is" if name in model.kept else "for an operator that XNNPACK refuses"
            yield self.finding(
                f"what the converter makes of this layer is not known here; the forecast takes it {taken}",
                required="a layer whose operators are known",
                actual=f"none: {why}" + _behind([layer for layer, origin in model.behind.items() if origin == name]),
                location=locate(plan, operators[name]) if name in operators else Location(name=name),
                fix=model.cures.get(name, _SAY),
            )


def _behind(layers: list[str]) -> str:
    """The layers that cannot be looked at, since they depend on the shape that this one gives."""
    return f"; its shape is needed for {listed(layers)}" if layers else ""
