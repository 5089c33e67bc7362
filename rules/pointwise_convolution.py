"""XNN102: 1x1 convolutions, the ones that SpMM can run."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.conditions.pointwise import Pointwise
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import POINTWISE, STRIDE_FIRST
from ._text import window_words


class PointwiseConvolution(NodeRule):
    """A 1x1 convolution has a stride, a padding, groups or (on old runtimes) a dilation.

    ## What it does
    Checks the 1x1 convolutions that did not become XNNPACK's fully-connected node because they are not plain: stride 1,
    no padding, one group, no dilation.

    ## Why it matters
    Only plain 1x1 convolutions run sparse (SpMM). Any other one ends the part of the model that could run sparse, and
    behind a live cluster it makes the operator in front of it read NCHW data as NHWC: wrong numbers, no error (XNN901).

    ## Example
    ```python
    x = layers.Conv2D(64, 1, strides=2)(x)
    ```

    ## Use instead
    ```python
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(x)
    x = layers.Conv2D(64, 1)(x)
    ```

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the convolution
    - google/XNNPACK, src/operators/convolution-nchw.c, `select_convolution2d_ukernel`: the SpMM kernel
    - google/XNNPACK, src/subgraph/convolution-2d.c, `xnn_define_convolution_2d`: plain 1x1 convolutions become
      fully-connected nodes (8dffc30d, 2025-01-13), and their dilation is ignored since
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._check_layer_support`
    """

    code = "XNN102"
    name = "pointwise-convolution-not-plain"
    node_condition = Pointwise
    terms = {**POINTWISE, **STRIDE_FIRST}
    summary = "a 1x1 convolution must have stride 1, no padding, one group"

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return window_words(unmet)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "SpMM runs only plain 1x1 convolutions"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        if node.params["groups"] != 1:
            return "use one group: Conv2D(filters, 1)", Applicability.UNSAFE
        if node.params["stride"] != (1, 1):
            return (
                "move the stride to a depthwise convolution in front: ZeroPadding2D(1) and "
                "DepthwiseConv2D(3, strides=2, padding='valid')",
                Applicability.UNSAFE,
            )
        return "drop the padding and the dilation, which a 1x1 convolution does not need", Applicability.UNSAFE
