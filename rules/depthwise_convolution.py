"""XNN104: depthwise convolutions."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.depthwise import PADDING_OF_KERNEL, STRIDES, Depthwise
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import DEPTHWISE
from ._text import by, window_words

KERNELS = " or ".join(by((k, k)) for k in PADDING_OF_KERNEL)
ALLOWED = ", or ".join(f"{by((k, k))} with padding {p}" for k, p in PADDING_OF_KERNEL.items())


class DepthwiseConvolution(NodeRule):
    """A depthwise convolution has no NCHW kernel, by its kernel size, stride, padding, dilation or multiplier.

    ## What it does
    Checks every depthwise convolution: $allowed on each side, stride $strides, depth multiplier 1, no dilation. With
    stride 1, padding='same' is just that; with stride 2 it never counts.

    ## Why it matters
    Depthwise convolutions stand between the 1x1 convolutions of most small networks. One without an NCHW kernel ends
    the part that could run sparse, and behind a live cluster it makes the operator in front of it read NCHW data as
    NHWC: wrong numbers, no error (XNN901).

    ## Example
    ```python
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    ```

    ## Use instead
    ```python
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(x)
    ```
    A ZeroPadding2D is merged into the convolution behind it, if nothing else reads it and it is the only one.

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning. On an even size 'same' at stride 2 pads only below
    and right, so the maps move by one pixel.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the depthwise convolution;
      `xnn_subgraph_fusion`: padding merged into convolutions
    - google/XNNPACK, src/operators/convolution-nchw.c, `select_convolution2d_ukernel`: the DWConv kernels
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._check_layer_support`
    """

    code = "XNN104"
    name = "depthwise-convolution-without-nchw-kernel"
    node_condition = Depthwise
    terms = DEPTHWISE
    summary = f"a depthwise convolution must be {ALLOWED}; stride {STRIDES[0]} or {STRIDES[1]}, multiplier 1"
    limits = {"allowed": ALLOWED, "strides": f"{STRIDES[0]} or {STRIDES[1]}"}

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return window_words(unmet)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "XNNPACK has no NCHW kernel for this depthwise convolution"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        p = node.params
        size = p["kernel"][0] if p["kernel"][0] == p["kernel"][1] else 0
        if size not in PADDING_OF_KERNEL:
            return f"use a {KERNELS} kernel with symmetric padding", Applicability.UNSAFE
        if p["depth_multiplier"] != 1:
            return "use depth multiplier 1, and more filters in the 1x1 convolution in front", Applicability.UNSAFE
        stride = p["stride"][0] if p["stride"][0] == p["stride"][1] and p["stride"][0] in STRIDES else "1 or 2"
        if stride == 1:
            return f"use DepthwiseConv2D({size}, padding='same') without dilation", Applicability.UNSAFE
        return (
            f"ZeroPadding2D({PADDING_OF_KERNEL[size]}), DepthwiseConv2D({size}, strides={stride}, padding='valid')",
            Applicability.UNSAFE,
        )
