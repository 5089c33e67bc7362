"""XNN108: bilinear resizing."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.conditions.resize_bilinear import SMALLEST, ResizeBilinear
from xnnlint.xnnpack.ir import Node, Subgraph

from ._text import dims


class ResizeBilinearRule(NodeRule):
    """A bilinear resize reads a map that is only one row high or one column wide.

    ## What it does
    Checks the input of RESIZE_BILINEAR: height and width of at least $smallest.

    ## Why it matters
    XNNPACK's NCHW kernel interpolates between two rows and two columns. On a smaller map the operator ends the part of
    the model that could run sparse, and behind a live cluster the operator in front of it reads NCHW data as NHWC:
    wrong numbers, no error (XNN901). It comes up where a pooled value is resized back to the size of a map.

    ## Example
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.UpSampling2D(8, interpolation="bilinear")(x)
    y = layers.Add()([y, x])
    ```

    ## Use instead
    ```python
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(channels, 1)(x)
    y = layers.Add()([y, x])  # broadcasts [N, 1, 1, C] over the map
    ```
    The 1x1 convolution is needed: an ADD cannot read a keepdims pooling directly (XNN601).

    ## Fix safety
    Unsafe: the added convolution has to be trained.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the bilinear resize
    """

    code = "XNN108"
    name = "resize-of-a-single-row"
    node_condition = ResizeBilinear
    summary = f"RESIZE_BILINEAR needs an input at least {SMALLEST} high and {SMALLEST} wide"
    limits = {"smallest": str(SMALLEST)}

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return f"input height and width of {unmet.required} or more", dims(unmet.actual)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "XNNPACK has no NCHW kernel that resizes a single row or column"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "broadcast the pooled value with a 1x1 convolution and ADD or MUL, not resized", Applicability.UNSAFE
