"""XNN105: ADD and MUL, and the shapes of their operands."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from xnnlint.linter.findings import Applicability, Finding, Fix
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.elementwise_operand import RANK, ElementwiseOperand, extent
from xnnlint.xnnpack.conditions.node_condition import Fact, Unmet
from xnnlint.xnnpack.ir import Node, Subgraph
from xnnlint.xnnpack.plan import Plan

from ._pytorch import POOLED
from ._text import dims, operand_text

SCALAR = "[1, 1, 1, 1]"
DIVISIONS = ("truediv", "divide", "div", "Divide", "TrueDivide")
_RELU6 = "tf.nn.relu6(x + 3.0)"
WRITTEN_OUT = {
    "hard_sigmoid": f"k * {_RELU6}",
    "hardsigmoid": f"k * {_RELU6}",
    "hard_silu": f"x * (k * {_RELU6})",
    "hard_swish": f"x * (k * {_RELU6})",
}
_SAFE = Applicability.SAFE


class ElementwiseOperandRule(NodeRule):
    """An operand of ADD or MUL is not 4-D, or is a constant that is not a vector in first place.

    ## What it does
    Checks both operands of ADD and MUL: rank $rank each; of a constant at most one dimension may be other than 1, and
    where the other operand is a map, the constant must come first.

    ## Why it matters
    Constants come from biases and scales that TensorFlow could not fold: a BatchNormalization behind an Add, a
    normalization layer, `x * 0.5 + 1`. Such an operator ends the part of the model that could run sparse, and behind a
    live cluster it makes the operator in front of it read NCHW data as NHWC: wrong numbers, no error (XNN901). That the
    order counts is a bug of the runtime: for either constant it looks at the shape of the first operand.

    ## Example
    ```python
    x = x + tf.constant(offsets)  # shape [C], second operand
    ```

    ## Use instead
    ```python
    x = tf.reshape(tf.constant(offsets), [1, 1, 1, -1]) + x
    ```
    or fold it into a convolution: the bias of the 1x1 convolution in front adds the same.

    ## Fix safety
    Safe where a scalar or vector only changes its place and shape. Unsafe for constants as large as the map, and where
    an operand computed by the model has another rank.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the binary operators: `inputs[0]` is read
      in the test of the second input, too (since 9de90e0b, 2020-06-18)
    """

    code = "XNN105"
    name = "elementwise-operand-not-a-vector"
    node_condition = ElementwiseOperand
    terms = POOLED
    summary = f"both operands of ADD and MUL must be {RANK}-D, and a constant must be a vector and come first"
    limits = {"rank": str(RANK)}

    def check(self, plan: Plan) -> Iterable[Finding]:
        """Of a Keras model the fix is in terms of the layer: nobody can turn round the operands of an Activation."""
        for finding in super().check(plan):
            layer = plan.model.layers.get(finding.location.name.rpartition("/")[2], "")
            fix = _in_keras(layer) if layer and finding.fix is not None and SCALAR in finding.fix.title else None
            yield finding if fix is None else replace(finding, fix=fix)

    def words(self, unmet: Unmet) -> tuple[str, str]:
        actual = operand_text(unmet.actual)
        if unmet.fact is Fact.OPERAND_RANK:
            return f"{unmet.required}-D operands", actual
        if unmet.fact is Fact.CONSTANT_SHAPE:
            return "a constant with at most one dimension other than 1", actual
        return "a constant as first operand", f"{actual} as second operand"

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "XNNPACK has no NCHW kernel for operands of these shapes"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        constants = [v for v in (subgraph.values[i] for i in node.inputs) if v.is_static]
        if any(extent(v.shape) > 1 for v in constants):
            return "use a constant with one value for each channel, or none", Applicability.UNSAFE
        if not constants:
            shapes = " and ".join(dims(subgraph.values[i].shape) for i in node.inputs)
            return f"keep both operands {RANK}-D (keepdims=True) instead of {shapes}", Applicability.UNSAFE
        shape = "[1, 1, 1, C]" if any(v.elements > 1 for v in constants) else SCALAR
        where = "make the constant the first operand" if len(constants) == 1 else "add or multiply the constants"
        return f"{where}, with shape {shape}, or fold it into the convolution in front", Applicability.SAFE


def _in_keras(layer: str) -> Fix | None:
    """What to write in the place of a layer that brings a scalar; None where the scalar is the user's own."""
    class_name, _, more = layer.partition(" ")
    if class_name in DIVISIONS or more.rpartition(".")[2] in DIVISIONS:
        return Fix(f"multiply by the reciprocal instead of dividing: tf.constant(1 / c, shape={SCALAR}) * x", _SAFE)
    activation = more if class_name == "Activation" or "Conv" in class_name else class_name
    formula = WRITTEN_OUT.get(activation.lower())
    if formula is not None:
        return Fix(
            f"write {activation} out, the constants first: {formula}, with k = tf.constant(1 / 6, shape={SCALAR})",
            _SAFE,
        )
    if class_name == "Activation":
        return Fix(f"use an activation without constants in place of {activation}, such as ReLU6", Applicability.UNSAFE)
    return None
