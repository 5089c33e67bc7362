"""XNN107: unary operators."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.node_condition import Fact, Unmet
from xnnlint.xnnpack.conditions.unary_operator import RANK, UnaryOperator
from xnnlint.xnnpack.ir import Node, Subgraph

from ._text import dims, listed


class UnaryOperatorRule(NodeRule):
    """A unary operator's input is not 4-D, or this runtime cannot run it in NCHW.

    ## What it does
    Checks activations and other operators of one input: the input must be $rank-D. Runtimes before LiteRT 1.1 run only
    some of them in NCHW; `xnnlint profiles` lists which.

    ## Why it matters
    The operator ends the part of the model that could run sparse. Behind a live cluster on an old runtime it makes the
    operator in front of it read NCHW data as NHWC: wrong numbers, no error (XNN901).

    ## Example
    ```python
    x = layers.Activation("gelu")(x)  # for LiteRT 1.0
    ```

    ## Use instead
    ```python
    x = layers.ReLU(6.0)(x)
    ```
    or keep the value 4-D: leave a Reshape until behind the last pooling.

    ## Fix safety
    Unsafe: another activation changes what the model computes. Safe where a value only changes its shape, or where no
    input goes into it.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the unary operators: all of them since
      2e439340 (2024-10-28)
    """

    code = "XNN107"
    name = "unary-operator-outside-nchw"
    node_condition = UnaryOperator
    summary = f"a unary operator needs a {RANK}-D input; runtimes before LiteRT 1.1 take only some of them"
    limits = {"rank": str(RANK)}

    def words(self, unmet: Unmet) -> tuple[str, str]:
        if unmet.fact is Fact.INPUT_RANK:
            return f"a {unmet.required}-D input", dims(unmet.actual)
        return "an operator that this runtime has in NCHW", _name(unmet.actual.operator)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return f"{_name(node.operator)} cannot run in NCHW here"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        shape = subgraph.values[node.inputs[0]].shape
        if subgraph.computed_from_inputs().isdisjoint(node.inputs):
            return "store what it computes as a constant: no input goes into it", Applicability.SAFE
        if len(shape) != RANK:
            return f"apply it to the {RANK}-D map, before the Reshape", Applicability.SAFE
        old = listed(["ReLU6", "LeakyReLU", "ELU", "sigmoid", "hard-swish"], 5)
        return f"use an activation that all runtimes have in NCHW: {old}", Applicability.UNSAFE


def _name(operator: str) -> str:
    return operator.replace("_", " ")
