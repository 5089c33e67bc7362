"""XNN106: binary operators other than ADD and MUL."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.binary_operator import BinaryOperator
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import SQUARED

INSTEAD = {
    "subtract": "add the negated value instead: negate the weights and biases that produce it",
    "prelu": "use ReLU, LeakyReLU or ELU",
    "divide": "multiply by the reciprocal",
    "maximum": "clamp against a scalar (ReLU), or add instead",
    "minimum": "clamp against a scalar (ReLU(max_value=...)), or add instead",
    "squared_difference": "add the negated value and square the sum: tf.square(x + negated)",
}


class BinaryOperatorRule(NodeRule):
    """A binary operator other than ADD and MUL has no NCHW kernel.

    ## What it does
    Finds SUB, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE and PRELU. A MAXIMUM or MINIMUM against a scalar constant is a
    clamp for runtimes since LiteRT 2.1, and fine there; before, Keras' ReLU(max_value=3) is a problem.

    ## Why it matters
    The operator ends the part of the model that could run sparse. Behind a live cluster it makes the operator in front
    of it read NCHW data as NHWC: wrong numbers, no error (XNN901).

    ## Example
    ```python
    x = layers.PReLU(shared_axes=[1, 2])(x)
    ```

    ## Use instead
    ```python
    x = layers.LeakyReLU(0.1)(x)
    ```
    For `a - b`, train with `a + b`: the sign goes into the weights that make b.

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning, unless the change is only one of notation.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the binary operators;
      `optimize_common_subgraphs_min_max_to_clamp` (e9bc43ce, 2025-10-29)
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._check_layer_support`, which lets
      subtract pass
    """

    code = "XNN106"
    name = "binary-operator-without-nchw-kernel"
    node_condition = BinaryOperator
    terms = SQUARED
    summary = "of the binary operators only ADD and MUL run in NCHW"

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return " or ".join(map(_name, unmet.required)), _name(unmet.actual.operator)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"XNNPACK has no NCHW kernel for {_name(node.operator)}"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return INSTEAD.get(node.operator, "express it with ADD and MUL"), Applicability.UNSAFE


def _name(operator: str) -> str:
    """The operator as the TFLite schema calls it."""
    return {"multiply": "MUL", "subtract": "SUB", "divide": "DIV"}.get(operator, operator.upper())
