"""XNN109: MEAN and SUM as the end of a cluster."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.node_condition import Fact, Unmet
from xnnlint.xnnpack.conditions.reduce_input import RANK, SPATIAL, ReduceInput
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import POOLED
from ._text import dims, tflite_type


class ReduceInputRule(NodeRule):
    """A MEAN or SUM cannot end a sparse cluster: its input is not 4-D, or this runtime knows only global averages.

    ## What it does
    Checks MEAN and SUM: the input must be $rank-D. Runtimes before LiteRT 1.1 accept only MEAN over the axes $axes,
    which is GlobalAveragePooling2D. XNN601 and XNN602 look at keepdims and at the axes.

    ## Why it matters
    A pooling over height and width is where NCHW data turns back into NHWC, and what switches sparse mode on. If it
    cannot do that, the model has no cluster end (XNN202).

    ## Example
    ```python
    x = layers.Reshape((-1, channels))(x)
    x = layers.GlobalAveragePooling1D()(x)
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(x)
    ```

    ## Fix safety
    Unsafe in general; the example computes the same either way.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: static_mean and static_sum since 813a14bf and
      fd8976f0 (2024-10), global average pooling before
    """

    code = "XNN109"
    name = "pooling-not-over-a-map"
    node_condition = ReduceInput
    terms = POOLED
    summary = f"MEAN and SUM end a cluster only on a {RANK}-D input"
    limits = {"rank": str(RANK), "axes": " and ".join(map(str, SPATIAL))}

    def words(self, unmet: Unmet) -> tuple[str, str]:
        if unmet.fact is Fact.INPUT_RANK:
            return f"a {unmet.required}-D input", dims(unmet.actual)
        operation = unmet.actual
        actual = f"{tflite_type(operation.type, operation.operator)} over axes {dims(operation.axes)}"
        return f"MEAN over axes {dims(unmet.required)}", actual

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "it cannot end a sparse cluster"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return f"pool the {RANK}-D map over height and width: GlobalAveragePooling2D", Applicability.UNSAFE
