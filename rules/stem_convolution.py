"""XNN101: the convolution that enters the sparse cluster."""

from __future__ import annotations

from xnnlint.linter.findings import Applicability
from xnnlint.linter.rule import NodeRule
from xnnlint.xnnpack.conditions.node_condition import Unmet
from xnnlint.xnnpack.conditions.stem import CHANNELS, KERNEL, PAD, STRIDE, Stem
from xnnlint.xnnpack.ir import Node, Subgraph

from ._pytorch import ENTRY
from ._text import by, side, window_words

LAYERS = f"ZeroPadding2D({PAD}), Conv2D(filters, {KERNEL[0]}, strides={STRIDE[0]}, padding='valid')"


class StemConvolution(NodeRule):
    """The model's first convolution cannot turn NHWC input into NCHW output, so no sparse cluster starts there.

    ## What it does
    Checks the convolution with which a sparse cluster has to start: $layers, on $channels input channels, one group, no
    dilation. What stands in front of it does not matter.

    ## Why it matters
    Images come as NHWC, sparse kernels work on NCHW, and this is the only operator of XNNPACK that goes from one to the
    other. Without it the whole model runs dense. A stem with padding='same' never counts, not even on sizes where
    TensorFlow pads symmetrically: the runtime works that padding out after it has decided on the layout.

    ## Example
    ```python
    x = layers.Conv2D(32, 3, strides=2, padding="same")(image)
    ```

    ## Use instead
    ```python
    x = layers.ZeroPadding2D($pad)(image)
    x = layers.Conv2D(32, $kernel, strides=$stride, padding="valid")(x)
    ```
    The weights stay usable. On an even size 'same' pads only below and right, so all maps move by one pixel: fine-tune.
    `xnnlint explain recipes` has ways to write grey-scale stems, and those of other kernels and strides.

    ## Fix safety
    Unsafe: the model computes something else and needs fine-tuning.

    ## References
    - google/XNNPACK, src/subgraph.c, `xnn_check_nchw_compatibility`, case of the convolution
    - google/XNNPACK, src/operators/convolution-nchw.c, `select_convolution2d_ukernel`: the HWC2CHW kernel
    - google/XNNPACK, src/subgraph/convolution-2d.c, `xnn_define_convolution_2d`: 'same' padding becomes explicit only
      at stride 1
    - tensorflow/model-optimization, tensorflow_model_optimization/python/core/sparsity/keras/pruning_policy.py,
      `PruneForLatencyOnXNNPack._start_layer_stop_fn`
    """

    code = "XNN101"
    name = "stem-not-a-sparse-entry"
    node_condition = Stem
    terms = ENTRY
    summary = (
        f"the first convolution must be {by(KERNEL)}, stride {STRIDE[0]}, {side(PAD)}, with {CHANNELS} input channels"
    )
    limits = {
        "layers": LAYERS,
        "channels": str(CHANNELS),
        "pad": str(PAD),
        "kernel": str(KERNEL[0]),
        "stride": str(STRIDE[0]),
    }

    def words(self, unmet: Unmet) -> tuple[str, str]:
        return window_words(unmet)

    def describe(self, node: Node, subgraph: Subgraph) -> str:
        return "the first convolution is not one that XNNPACK can run from NHWC input to NCHW output"

    def remedy(self, node: Node, subgraph: Subgraph) -> tuple[str, Applicability]:
        channels = node.params["group_input_channels"] * node.params["groups"]
        if channels != CHANNELS:
            return f"{LAYERS} on {CHANNELS} input channels instead of {channels}", Applicability.UNSAFE
        return LAYERS, Applicability.UNSAFE
