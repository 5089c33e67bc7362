"""XNN103: XNNPACK fully_connected nodes: plain 1x1 convolutions and FULLY_CONNECTED."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.fully_connected import FullyConnected
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import POINTWISE


class FullyConnectedRule(NodeRule):
    """A fully-connected operator stands among operators of the cluster, on a runtime without a sparse kernel for it.

    ## What it does
    Finds FULLY_CONNECTED operators between operators that could run sparse, for runtimes that run only convolutions
    sparse. Newer runtimes run both with the same kernel, and there this rule finds nothing.

    ## Why it matters
    On such a runtime the operator ends the part of the model that could run sparse, and what leads to it may compute
    wrong numbers (XNN901).

    ## Example
    ```python
    x = layers.Dense(64)(feature_map)  # on a 4-D tensor
    ```

    ## Use instead
    ```python
    x = layers.Conv2D(64, 1)(feature_map)
    ```

    ## Fix safety
    Safe: a 1x1 convolution with the same weights computes the same.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`: fully-connected nodes run in NCHW since 8dffc30d
      (2025-01-13; LiteRT 1.1)
    - google-ai-edge/LiteRT, tflite/delegates/xnnpack/xnnpack_delegate.cc, `VisitFullyConnectedNode`: b0b8578a
      (2025-05-21) put a reshape in front, which keeps a classifier behind the pooling out of the cluster
    """

    code = "XNN103"
    name = "fully-connected-in-cluster"
    node_condition = FullyConnected
    terms = POINTWISE
    summary = "runtimes before LiteRT 1.1 have no sparse kernel for FULLY_CONNECTED"

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return "a 1x1 CONV_2D", "FULLY_CONNECTED"

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "this runtime has no sparse kernel for FULLY_CONNECTED"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        return "use a 1x1 Conv2D with the same weights in its place", Applicability.SAFE
