"""XNN206: an operator that reads one value as both operands."""

from __future__ import annotations

from collections.abc import Iterable

from xnnlint.linter.findings import Applicability, Finding
from xnnlint.linter.rule import Rule, locate
from xnnlint.xnnpack.conditions.condition import Condition
from xnnlint.xnnpack.ir import NodeType
from xnnlint.xnnpack.plan import Plan
from xnnlint.xnnpack.waiver import Waiver, WaiverKind

from ._pytorch import SQUARED
from ._text import type_of

INSTEAD = {
    "add": "multiply by two: tf.constant(2.0, shape=[1, 1, 1, 1]) * x, the constant first",
    "multiply": "use tf.square(x)",
}


class OperandReadTwice(Rule):
    """An ADD or MUL reads the same value as both operands, which takes the whole cluster back to NHWC.

    ## What it does
    Finds ADD(x, x), and on runtimes before LiteRT 2.1 MUL(x, x), where x could be part of a cluster. Newer runtimes
    turn MUL(x, x) into a square first.

    ## Why it matters
    The runtime counts a repeated operand once among all readers of x and twice among those in NCHW, takes the
    difference for a reader outside the cluster, and keeps every 1x1 convolution of the cluster dense. The outputs are
    correct.

    ## Example
    ```python
    y = layers.Add()([x, x])
    ```

    ## Use instead
    ```python
    y = tf.constant(2.0, shape=[1, 1, 1, 1]) * x
    ```

    ## Fix safety
    Safe: the same numbers.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_subgraph_analyze_consumers_and_producers`: repeated inputs count once since
      0aa15678 (2025-06-27; LiteRT 2.0); `optimize_common_subgraphs_mul_to_sqr` (af7b1699, 2025-09-04)
    """

    code = "XNN206"
    name = "operand-read-twice"
    condition = Condition.OPERANDS_DIFFER
    of_whole_graph = True
    terms = SQUARED
    summary = "an operator that reads a value of the cluster twice keeps the whole cluster dense"

    def check(self, plan: Plan) -> Iterable[Finding]:
        if not plan.profile["repeated_input_counts_once"]:
            return
        for part in plan.partitions:
            for node, verdict in zip(part.nodes, part.decision.verdicts, strict=True):
                if node.type != NodeType.BINARY or len(set(node.inputs)) == 2 or not verdict.layout:
                    continue
                yield self.finding(
                    "both operands are one value, and the runtime miscounts its readers: the whole cluster stays dense",
                    required="two different operands",
                    actual=f"{type_of(plan.graph.operators[node.op])} of a value with itself",
                    location=locate(plan, node.op),
                    fix=INSTEAD[node.operator],
                    applicability=Applicability.SAFE,
                    waivers=[Waiver(WaiverKind.ONCE, node.op)],
                )
